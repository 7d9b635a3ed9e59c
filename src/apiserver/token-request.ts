import { invalidValue } from '../kube/field-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { parseApiVersion } from '../kube/resources.ts';
import { badRequest, conflict, invalid, notFound } from '../kube/status.ts';
import { formatTime } from '../kube/time.ts';
import { admissionOfOther } from './admission-request.ts';
import { decodeBody } from './decode-body.ts';
import { coreResource, mustGet, type Answer, type ApiCall } from './api-call.ts';
import { ownFields } from './own-fields.ts';
import { writeOptions } from './request-options.ts';
import type { RouterContext } from './router-context.ts';
import type { BoundObject, TokenClaims } from './service-account-tokens.ts';

/** Audience and issuer of tokens for this server, under the name that in-cluster clients expect. */
export const DEFAULT_AUDIENCE = 'https://kubernetes.default.svc.cluster.local';
const DEFAULT_SECONDS = 3600;
const MIN_SECONDS = 600;
const MAX_SECONDS = 2 ** 32;

interface TokenRequest extends KubeObject {
  spec?: {
    audiences?: string[];
    expirationSeconds?: number;
    boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string };
  };
}

/** Answers `POST serviceaccounts/NAME/token`. */
export async function createToken(context: RouterContext, call: ApiCall): Promise<Answer> {
  const options = writeOptions(call.request.query, 'CreateOptions');
  const body = await call.body();
  const kind = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' };
  const decoded = decodeBody<TokenRequest>(body, kind, options.fieldValidation);
  call.warnings.push(...decoded.warnings);
  const given: string | undefined = decoded.object.metadata?.name;
  if (given !== undefined && given !== '' && given !== call.request.name) {
    const why = 'must match the service account name if specified';
    throw invalid(kind, call.request.name, [invalidValue('metadata.name', given, why)]);
  }
  const account = mustGet(context, call).object;
  ownFields(context, call, options, decoded.object, { kind });
  const admission = admissionOfOther(call, 'CREATE', decoded.object, options.dryRun);
  await context.admission.admit(admission, call.signal);
  const object = (admission.object ?? decoded.object) as TokenRequest;
  await context.admission.validate({ ...admission, object }, call.signal);
  const seconds = object.spec?.expirationSeconds ?? DEFAULT_SECONDS;
  const wrong = seconds < MIN_SECONDS ? 'may not specify a duration less than 10 minutes' : undefined;
  const long = seconds > MAX_SECONDS ? 'may not specify a duration larger than 2^32 seconds' : undefined;
  const why = wrong ?? long;
  if (why !== undefined) {
    throw invalid(kind, '', [invalidValue('spec.expirationSeconds', seconds, why)]);
  }
  const audiences = (object.spec?.audiences ?? []).length === 0 ? [DEFAULT_AUDIENCE] : object.spec?.audiences;
  const bound = boundObject(context, call, object.spec?.boundObjectRef);
  const claims: TokenClaims = {
    namespace: call.request.namespace,
    serviceAccount: { name: call.request.name, uid: account.metadata.uid ?? '' },
    audiences: audiences ?? [DEFAULT_AUDIENCE],
    expirationSeconds: seconds,
    ...bound,
  };
  const { token, expires } = await context.tokens.issue(claims);
  const { name, namespace } = account.metadata;
  const { managedFields } = object.metadata;
  return {
    code: 201,
    value: {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: {
        name,
        namespace,
        creationTimestamp: formatTime(context.clock.now()),
        ...(managedFields === undefined ? {} : { managedFields }),
      },
      spec: {
        audiences: claims.audiences,
        expirationSeconds: seconds,
        boundObjectRef: object.spec?.boundObjectRef ?? null,
      },
      status: { token, expirationTimestamp: formatTime(expires) },
    },
  };
}

function boundObject(
  context: RouterContext,
  call: ApiCall,
  ref: NonNullable<TokenRequest['spec']>['boundObjectRef'],
): Pick<TokenClaims, 'bound' | 'node'> {
  if (ref === undefined) return {};
  const { kind, name = '', uid } = ref;
  if (kind !== 'Pod' && kind !== 'Secret' && kind !== 'Node') {
    const { group, version } = parseApiVersion(ref.apiVersion ?? '');
    throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${kind ?? ''}`);
  }
  const resource = coreResource({ Pod: 'pods', Secret: 'secrets', Node: 'nodes' }[kind]);
  const namespace = resource.namespaced ? call.request.namespace : '';
  const found = context.store.get({ resource: resource.resource, namespace, name })?.object;
  if (found === undefined) throw notFound(resource, name);
  const actual = found.metadata.uid ?? '';
  if (uid !== undefined && uid !== '' && uid !== actual) {
    // Upstream words this refusal with the kind where others have the resource.
    throw conflict(
      { group: '', resource: kind },
      name,
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  const bound: BoundObject = { kind, name, uid: actual };
  if (kind !== 'Pod') return { bound };
  const { spec } = found as Pod;
  if (spec.serviceAccountName !== call.request.name) {
    throw badRequest(
      `cannot bind token for serviceaccount "${call.request.name}" to pod running with different serviceaccount name.`,
    );
  }
  if (spec.nodeName === undefined || spec.nodeName === '') return { bound };
  const node = context.store.get({ resource: 'nodes', namespace: '', name: spec.nodeName })?.object;
  const nodeUid = node?.metadata.uid;
  return { bound, node: { name: spec.nodeName, ...(nodeUid === undefined ? {} : { uid: nodeUid }) } };
}
