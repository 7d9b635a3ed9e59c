import { messageOf } from '../base/coded-error.ts';
import { controllerReference } from '../kube/owner-reference.ts';
import { claimIsNotOwn, ownClaimName } from '../kube/pod-claims.ts';
import type { Pod, Volume } from '../kube/pod.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { CLAIMS, PODS } from './resource-types.ts';
import type { Claim } from './volume-objects.ts';

const COMPONENT = 'ephemeral_volume';

/** Makes the claims that Pods bring templates for; they belong to their Pod and go with it. */
export function startEphemeralClaims(context: ControllerContext): void {
  const pods = context.informer<Pod>(PODS);
  const claims = context.informer<Claim>(CLAIMS);

  const queue = context.queue('make ephemeral claims', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const pod = pods.get(namespace, name);
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return;
    for (const volume of pod.spec.volumes ?? []) {
      try {
        await make(pod, volume, signal);
      } catch (error) {
        context.events.record(COMPONENT, pod, {
          type: 'Warning',
          reason: 'FailedBinding',
          message: `ephemeral volume ${volume.name}: ${messageOf(error)}`,
        });
        throw error;
      }
    }
  });

  async function make(pod: Pod, volume: Volume, signal: AbortSignal): Promise<void> {
    const template = volume.ephemeral?.volumeClaimTemplate;
    if (template === undefined) return;
    const { namespace = '' } = pod.metadata;
    const name = ownClaimName(pod, volume.name);
    const present = claims.get(namespace, name);
    if (present !== undefined) {
      const stranger = claimIsNotOwn(pod, present);
      if (stranger !== undefined) throw new Error(stranger);
      return;
    }
    const { labels, annotations } = template.metadata ?? {};
    const claim: Claim = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        name,
        namespace,
        ...(labels === undefined ? {} : { labels }),
        ...(annotations === undefined ? {} : { annotations }),
        ownerReferences: [controllerReference(pod)],
      },
      spec: template.spec,
    };
    await unless(['AlreadyExists'], context.client.create(CLAIMS, claim, signal));
  }

  pods.onChange(({ type, object }) => {
    const isMeant = (object.spec.volumes ?? []).some(({ ephemeral }) => ephemeral !== undefined);
    if (type !== 'deleted' && isMeant) queue.add(queueKey(object));
  });
  claims.onChange(({ type, object }) => {
    // A claim of the same name was in the way, or somebody took away what a Pod needs.
    if (type !== 'deleted') return;
    for (const pod of pods.values()) {
      const isMeant = (pod.spec.volumes ?? []).some(
        (volume) => volume.ephemeral !== undefined && ownClaimName(pod, volume.name) === object.metadata.name,
      );
      if (isMeant && pod.metadata.namespace === object.metadata.namespace) queue.add(queueKey(pod));
    }
  });
}
