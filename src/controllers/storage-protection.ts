import type { ResourceType } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';
import { claimIsNotOwn, usedClaims } from '../kube/pod-claims.ts';
import type { Pod } from '../kube/pod.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { isFinished } from './pod-state.ts';
import { CLAIMS, PODS, VOLUMES } from './resource-types.ts';
import type { Claim, Volume } from './volume-objects.ts';

const CLAIM_FINALIZER = 'kubernetes.io/pvc-protection';
const VOLUME_FINALIZER = 'kubernetes.io/pv-protection';

/** Keeps a claim while a Pod uses it, and a volume while a claim does. */
export function startStorageProtection(context: ControllerContext): void {
  const claims = context.informer<Claim>(CLAIMS);
  const volumes = context.informer<Volume>(VOLUMES);
  const pods = context.informer<Pod>(PODS);

  const claimQueue = context.queue('protect claim', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const claim = claims.get(namespace, name);
    if (claim === undefined) return;
    const isUsed = (): boolean => pods.values().some((pod) => uses(pod, claim));
    await protect(CLAIMS, claim, CLAIM_FINALIZER, isUsed, signal);
  });
  const volumeQueue = context.queue('protect volume', async (key, signal) => {
    const volume = volumes.get(undefined, splitKey(key).name);
    if (volume === undefined) return;
    await protect(VOLUMES, volume, VOLUME_FINALIZER, () => volume.status?.phase === 'Bound', signal);
  });

  async function protect(
    type: ResourceType,
    object: KubeObject,
    finalizer: string,
    isUsed: () => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { name, namespace, uid, resourceVersion, finalizers = [], deletionTimestamp } = object.metadata;
    const isMarked = finalizers.includes(finalizer);
    const isGoing = deletionTimestamp !== undefined;
    if (isGoing ? !isMarked || isUsed() : isMarked) return;
    const next = isGoing ? finalizers.filter((other) => other !== finalizer) : [...finalizers, finalizer];
    const metadata = { uid, resourceVersion, finalizers: next.length === 0 ? null : next };
    const target = { name, ...(namespace === undefined ? {} : { namespace }) };
    await unless(['NotFound'], context.client.patch(type, target, { metadata }, 'merge', signal));
  }

  claims.onChange(({ object, type }) => {
    if (type !== 'deleted') claimQueue.add(queueKey(object));
  });
  volumes.onChange(({ object, type }) => {
    if (type !== 'deleted') volumeQueue.add(queueKey(object));
  });
  pods.onChange(({ object, type }) => {
    if (type !== 'deleted' && !isFinished(object)) return;
    for (const { name } of usedClaims(object)) claimQueue.add(`${object.metadata.namespace ?? ''}/${name}`);
  });
}

/**
 * A Pod without a node will not get one while its claim is going. One that has finished still counts, unless the claim was
 * made for it and will go with it.
 */
function uses(pod: Pod, claim: Claim): boolean {
  if (pod.metadata.namespace !== claim.metadata.namespace || (pod.spec.nodeName ?? '') === '') return false;
  return usedClaims(pod).some(({ name, isOwn }) => {
    if (name !== claim.metadata.name) return false;
    return !isOwn || (!isFinished(pod) && claimIsNotOwn(pod, claim) === undefined);
  });
}
