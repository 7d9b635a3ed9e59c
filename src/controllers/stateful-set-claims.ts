import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../base/coded-error.ts';
import type { Informer } from '../kube/client/kube-client.ts';
import type { OwnerReference } from '../kube/object.ts';
import { controllerReference } from '../kube/owner-reference.ts';
import type { Pod } from '../kube/pod.ts';
import { unless, type ControllerContext } from './controller-context.ts';
import { CLAIMS } from './resource-types.ts';
import { ordinalOf, range, type StatefulSet } from './stateful-set.ts';
import type { Claim } from './volume-objects.ts';

/** Makes the claims of a StatefulSet's Pods, and says by their owners with whom they go. */
export class StatefulSetClaims {
  readonly #context: ControllerContext;
  readonly #component: string;
  readonly #claims: Informer<Claim>;

  /** @param component who tells of it in events */
  constructor(context: ControllerContext, component: string) {
    this.#context = context;
    this.#component = component;
    this.#claims = context.informer<Claim>(CLAIMS);
  }

  /** Makes those claims that a Pod to come needs and that are not left from one before it. */
  async create(set: StatefulSet, pod: string, signal: AbortSignal): Promise<void> {
    const { namespace = '' } = set.metadata;
    const owners = ownersOf(set, undefined);
    for (const template of set.spec.volumeClaimTemplates ?? []) {
      const name = `${template.metadata.name}-${pod}`;
      if (this.#claims.get(namespace, name) !== undefined) continue;
      const { annotations } = template.metadata;
      const claim: Claim = {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: {
          name,
          namespace,
          labels: { ...template.metadata.labels, ...set.spec.selector.matchLabels },
          ...(annotations === undefined ? {} : { annotations }),
          ...(owners.length === 0 ? {} : { ownerReferences: owners }),
        },
        spec: template.spec,
      };
      const tell = (type: 'Normal' | 'Warning', reason: string, message: string): void =>
        this.#context.events.record(this.#component, set, { type, reason, message });
      try {
        await unless(['AlreadyExists'], this.#context.client.create(CLAIMS, claim, signal));
        const message = `Create Claim ${name} Pod ${pod} in StatefulSet ${set.metadata.name} success`;
        tell('Normal', 'SuccessfulCreate', message);
      } catch (error) {
        const message = `Create Claim ${name} for Pod ${pod} in StatefulSet ${set.metadata.name} failed error: ${messageOf(error)}`;
        tell('Warning', 'FailedCreate', message);
        throw error;
      }
    }
  }

  /** Sees to it that the claims of a Pod go with whom the set's retention policy says, before the Pod itself goes. */
  async settleOwners(set: StatefulSet, pod: Pod, signal: AbortSignal): Promise<void> {
    const { namespace = '' } = set.metadata;
    for (const template of set.spec.volumeClaimTemplates ?? []) {
      const claim = this.#claims.get(namespace, `${template.metadata.name}-${pod.metadata.name}`);
      if (claim === undefined || claim.metadata.deletionTimestamp !== undefined) continue;
      const present = claim.metadata.ownerReferences ?? [];
      const others = present.filter(({ uid }) => uid !== set.metadata.uid && uid !== pod.metadata.uid);
      const wanted = [...others, ...ownersOf(set, pod)];
      if (isDeepStrictEqual(wanted, present)) continue;
      const { name, uid, resourceVersion } = claim.metadata;
      const metadata = {
        uid,
        resourceVersion,
        ownerReferences: wanted.length === 0 ? null : wanted,
      };
      await unless(
        ['NotFound'],
        this.#context.client.patch(CLAIMS, { namespace, name }, { metadata }, 'merge', signal),
      );
    }
  }
}

/**
 * Who takes a claim along: the set when it is deleted, or the Pod when the set has shrunk below it.
 *
 * @param pod absent: one that is yet to be made
 */
function ownersOf(set: StatefulSet, pod: Pod | undefined): OwnerReference[] {
  const { whenDeleted, whenScaled } = set.spec.persistentVolumeClaimRetentionPolicy ?? {};
  const ordinal = pod === undefined ? undefined : ordinalOf(set, pod);
  const { first, end } = range(set);
  const isSurplus = ordinal !== undefined && (ordinal < first || ordinal >= end);
  if (isSurplus && whenScaled === 'Delete') return pod === undefined ? [] : [controllerReference(pod)];
  return whenDeleted === 'Delete' ? [controllerReference(set)] : [];
}
