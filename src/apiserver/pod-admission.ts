import { lookUpAccount, type AccountSource } from '../admission/account-lookup.ts';
import type { AdmissionRequest as Review, TracedOutcome } from '../admission/admission-review.ts';
import { mutateAlwaysPullImages, validateAlwaysPullImages } from '../admission/always-pull-images.ts';
import { accountNeeded, admitServiceAccount } from '../admission/service-account.ts';
import type { Clock } from '../base/clock.ts';
import { randomSuffix } from '../kube/names.ts';
import type { Pod } from '../kube/pod.ts';
import type { ServiceAccount } from '../kube/secret.ts';
import { badRequest, StatusError } from '../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission-chain.ts';
import type { ObjectStore } from './object-store.ts';

/** What tells the volumes of tokens apart. */
const volumeSuffix = (): string => randomSuffix(5);

/** Gives Pods their service account, its pull secrets and its token (rules 8.1 to 8.7). */
export function serviceAccountAdmission(store: ObjectStore, clock: Clock): AdmissionPlugin {
  const find = (namespace: string, name: string): ServiceAccount | undefined =>
    store.get({ resource: 'serviceaccounts', namespace, name })?.object;
  const source: AccountSource = {
    cached: find,
    live: (namespace, name) => Promise.resolve(find(namespace, name)),
  };
  return {
    name: 'ServiceAccount',
    admit: async (request, signal) => {
      const review = reviewOf(request);
      if (review === undefined) return;
      const name = accountNeeded(review);
      const lookup =
        name === undefined
          ? undefined
          : await lookUpAccount(source, request.namespace, name, { clock, random: Math.random, signal });
      take(request, admitServiceAccount(review, lookup, volumeSuffix));
    },
  };
}

/** Makes every Pod prove its right to its images at each start (rules 2.9 to 2.13). */
export const alwaysPullImages: AdmissionPlugin = {
  name: 'AlwaysPullImages',
  admit: (request) => {
    const review = reviewOf(request);
    if (review !== undefined) take(request, mutateAlwaysPullImages(review));
  },
  validate: (request) => {
    const review = reviewOf(request);
    if (review !== undefined) checkOutcome(request, validateAlwaysPullImages(review));
  },
};

/** Returns the question of a request about an object of the core group. */
export function reviewOf(request: AdmissionRequest): Review | undefined {
  const { operation, subresource, namespace, name, object, oldObject } = request;
  if (object === undefined || request.resource.group !== '') return undefined;
  // Validation comes later: a Pod without containers gets this far, and is then refused for it.
  if (object.kind === 'Pod') {
    const pod = object as Partial<Pod>;
    pod.spec = { ...pod.spec, containers: pod.spec?.containers ?? [] };
  }
  return {
    operation,
    resource: request.resource.resource,
    subresource,
    namespace,
    name,
    object,
    ...(oldObject === undefined ? {} : { oldObject }),
  };
}

function take(request: AdmissionRequest, outcome: TracedOutcome): void {
  const object = checkOutcome(request, outcome);
  if (object !== undefined) request.object = object;
}

/** Takes over the warnings of a permission; throws StatusError for a refusal. */
export function checkOutcome(
  request: AdmissionRequest,
  { result }: TracedOutcome,
): AdmissionRequest['object'] {
  if (result.allowed) {
    request.warnings.push(...(result.warnings ?? []));
    return result.object;
  }
  if (result.reason === 'BadRequest') throw badRequest(result.message);
  const { group, resource } = request.resource;
  throw new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: result.message,
    reason: 'Forbidden',
    details: {
      ...(request.name === '' ? {} : { name: request.name }),
      ...(group === '' ? {} : { group }),
      kind: resource,
    },
    code: 403,
  });
}
