import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { labelSelectorOf, type LabelSelectorObject } from '../kube/selector/label-selector.ts';
import { badRequest, plainError, success, tooManyRequests } from '../kube/status.ts';
import { formatTime } from '../kube/time.ts';
import { AdmissionChain } from './admission-chain.ts';
import { admissionOfOther } from './admission-request.ts';
import { mustGet, type Answer, type ApiCall } from './api-call.ts';
import { decodeBody } from './decode-body.ts';
import { deleteObject } from './delete-objects.ts';
import { writeOptions } from './request-options.ts';
import type { RouterContext } from './router-context.ts';
import { StoreError } from './stored-object.ts';
import { nodeNameOf } from './user-info.ts';

const BUDGETS = 'poddisruptionbudgets.policy';
/** Times that taking from a budget is tried again when another eviction came between. */
const CONFLICT_TRIES = 20;
/** Seconds after which a client should ask again, when a budget has not been looked at yet. */
const RETRY_SECONDS = 10;
const REFUSED = "Cannot evict pod as it would violate the pod's disruption budget.";

interface Eviction extends KubeObject {
  deleteOptions?: { dryRun?: string[] };
}

interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
  lastTransitionTime: string | null;
  observedGeneration?: number;
}

interface DisruptionBudget extends KubeObject {
  spec?: { selector?: LabelSelectorObject; unhealthyPodEvictionPolicy?: string };
  status?: {
    observedGeneration?: number;
    disruptionsAllowed: number;
    currentHealthy: number;
    desiredHealthy: number;
    expectedPods: number;
    disruptedPods?: Record<string, string>;
    conditions?: Condition[];
  };
}

/** Answers `POST pods/NAME/eviction`: deletes the Pod if the budget that covers it has room for that. */
export async function evictPod(context: RouterContext, call: ApiCall): Promise<Answer> {
  const body = await call.body();
  const options = writeOptions(call.request.query, 'CreateOptions');
  const { object: eviction, warnings } = decodeBody<Eviction>(
    body,
    { group: 'policy', version: 'v1', kind: 'Eviction' },
    options.fieldValidation,
  );
  call.warnings.push(...warnings);
  const { name } = call.request;
  if (eviction.metadata?.name !== undefined && eviction.metadata.name !== name) {
    throw badRequest('name in URL does not match name in Eviction object');
  }
  const dryRun = options.dryRun || (eviction.deleteOptions?.dryRun ?? []).length > 0;
  const pod = mustGet(context, call).object as Pod;
  const admission = admissionOfOther(call, 'CREATE', eviction, dryRun);
  await context.admission.admit(admission, call.signal);
  await context.admission.validate(admission, call.signal);
  if (!isFreeToGo(pod)) takeFromBudget(context, pod, dryRun);
  const deletion = { kind: 'DeleteOptions', apiVersion: 'v1', ...eviction.deleteOptions };
  const bytes = Buffer.from(JSON.stringify(dryRun ? { ...deletion, dryRun: ['All'] } : deletion));
  // The eviction was admitted as what it is; only what a node may delete is asked once more.
  const isNode = nodeNameOf(call.user) !== undefined;
  await deleteObject(isNode ? context : { ...context, admission: new AdmissionChain([]) }, {
    ...call,
    request: { ...call.request, subresource: '', verb: 'delete' },
    body: () => Promise.resolve({ bytes, mediaType: 'application/json' }),
  });
  return { code: 201, value: success(201) };
}

/** Pods that serve nobody, or are going anyway, are no loss. */
function isFreeToGo(pod: Pod): boolean {
  const phase = pod.status?.phase;
  if (pod.metadata.deletionTimestamp !== undefined) return true;
  return phase === 'Succeeded' || phase === 'Failed' || phase === 'Pending';
}

/** @throws StatusError 429 when the budget has no room, 500 when several cover the Pod */
function takeFromBudget(context: RouterContext, pod: Pod, dryRun: boolean): void {
  const { namespace = '', name } = pod.metadata;
  for (let attempt = 1; ; attempt++) {
    const covering = context.store
      .list(BUDGETS, { namespace })
      .items.filter(({ object }) => covers(object as DisruptionBudget, pod));
    if (covering.length > 1) {
      throw plainError(
        'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
      );
    }
    const [stored] = covering;
    if (stored === undefined) return;
    const budget = stored.object as DisruptionBudget;
    if (!isReady(pod) && mayGoUnready(budget)) return;
    checkRoom(budget);
    if (dryRun) return;
    try {
      context.store.update(
        stored.key,
        stored.revision,
        charged(budget, name, formatTime(context.clock.now())),
      );
      return;
    } catch (error) {
      const isLost = error instanceof StoreError && error.code === 'CONFLICT';
      if (!isLost || attempt === CONFLICT_TRIES) throw error;
    }
  }
}

function covers({ spec }: DisruptionBudget, pod: Pod): boolean {
  return spec?.selector !== undefined && labelSelectorOf(spec.selector).matches(pod.metadata.labels);
}

function isReady(pod: Pod): boolean {
  return (pod.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
}

/** A Pod that is not ready does not count for the budget; it may go while enough others are. */
function mayGoUnready({ spec, status }: DisruptionBudget): boolean {
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

function checkRoom({ metadata, status }: DisruptionBudget): void {
  const { name, generation = 0 } = metadata;
  const refuse = (message: string, seconds: number): Error =>
    tooManyRequests(REFUSED, seconds, [{ reason: 'DisruptionBudget', message }]);
  if ((status?.observedGeneration ?? 0) < generation) {
    throw refuse(`The disruption budget ${name} is still being processed by the server.`, RETRY_SECONDS);
  }
  const { disruptionsAllowed = 0, desiredHealthy = 0, currentHealthy = 0 } = status ?? {};
  if (disruptionsAllowed > 0) return;
  const failed = status?.conditions?.find(({ reason }) => reason === 'SyncFailed');
  throw refuse(
    failed === undefined
      ? `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`
      : `The disruption budget ${name} does not allow evicting pods currently because it failed sync: ${failed.message}`,
    0,
  );
}

function charged(budget: DisruptionBudget, pod: string, now: string): DisruptionBudget {
  const { status, metadata } = budget;
  if (status === undefined) return budget;
  const left = status.disruptionsAllowed - 1;
  const others = (status.conditions ?? []).filter(({ type }) => type !== 'DisruptionAllowed');
  const spent: Condition = {
    type: 'DisruptionAllowed',
    status: 'False',
    observedGeneration: metadata.generation ?? 0,
    lastTransitionTime: now,
    reason: 'InsufficientPods',
    message: '',
  };
  return {
    ...budget,
    status: {
      ...status,
      disruptionsAllowed: left,
      disruptedPods: { ...status.disruptedPods, [pod]: now },
      ...(left === 0 ? { conditions: [...others, spent] } : {}),
    },
  };
}
