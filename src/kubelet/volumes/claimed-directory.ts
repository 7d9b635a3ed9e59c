import type { KubeClient, ResourceType } from '../../kube/client/kube-client.ts';
import type { KubeObject } from '../../kube/object.ts';
import { findObject } from '../object-source.ts';
import { VolumeError } from './volume-error.ts';

const CLAIMS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'persistentvolumeclaims',
  kind: 'PersistentVolumeClaim',
  namespaced: true,
};
const VOLUMES: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'persistentvolumes',
  kind: 'PersistentVolume',
  namespaced: false,
};
const PROVISIONED = 'pv.kubernetes.io/provisioned-by';
const PROVISIONER = 'drayage.dev/directory';
/** Parts of a volume's specification that say how it is used, not what it is. */
const TERMS = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);

interface Claim extends KubeObject {
  spec?: { volumeName?: string };
}

interface Volume extends KubeObject {
  spec?: {
    hostPath?: { path: string; type?: string };
    local?: { path: string };
  };
}

/** A directory of the machine that a claim stands for. */
export interface ClaimedDirectory {
  readonly path: string;
  /** As that of a `hostPath`. */
  readonly type: string;
  /** Whether it was made for the claim, so that it is nobody else's. */
  readonly isOwn: boolean;
}

/** Finds the directory of a claim; undefined while the claim is bound to none. */
export type FindClaimed = (
  namespace: string,
  claim: string,
  signal: AbortSignal,
) => Promise<ClaimedDirectory | undefined>;

/** Asks the API which volume a claim is bound to, and where that is. */
export function claimedDirectories(client: KubeClient): FindClaimed {
  return async (namespace, name, signal) => {
    const claim = await findObject<Claim>(client, CLAIMS, { namespace, name }, signal);
    const volumeName = claim?.spec?.volumeName ?? '';
    if (volumeName === '') return undefined;
    const volume = await findObject<Volume>(client, VOLUMES, { name: volumeName }, signal);
    return volume === undefined ? undefined : directoryOf(volume);
  };
}

/** @throws VolumeError for a volume that is no directory of this machine */
function directoryOf({ metadata, spec = {} }: Volume): ClaimedDirectory {
  const isOwn = metadata.annotations?.[PROVISIONED] === PROVISIONER;
  if (spec.hostPath !== undefined) return { path: spec.hostPath.path, type: spec.hostPath.type ?? '', isOwn };
  if (spec.local !== undefined) return { path: spec.local.path, type: 'Directory', isOwn };
  const kind = Object.keys(spec).find((key) => !TERMS.has(key)) ?? 'unknown';
  throw new VolumeError(`no volume plugin matched: ${kind}`);
}
