import type { Container, PodSpec, Volume } from '../kube/pod.ts';

/** Where a container finds the token of its account. */
const TOKEN_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const VOLUME_PREFIX = 'kube-api-access-';
/** An hour and some seconds, so that clients which refresh hourly never hold an expired token. */
const TOKEN_SECONDS = 3607;
/**
 * Mounts the token of the service account in every container that has nothing at its place; the volume is added when a
 * container needs it. A volume of that name that is there already is used.
 */
export function mountToken(
  spec: PodSpec,
  suffix: () => string,
): Pick<PodSpec, 'containers' | 'initContainers' | 'volumes'> {
  const existing = (spec.volumes ?? []).find((volume) => volume.name.startsWith(VOLUME_PREFIX));
  const name = existing?.name ?? `${VOLUME_PREFIX}${suffix()}`;
  let needed = false;
  const mount = (container: Container): Container => {
    const mounts = container.volumeMounts ?? [];
    if (mounts.some(({ mountPath }) => mountPath === TOKEN_PATH)) return container;
    needed = true;
    return { ...container, volumeMounts: [...mounts, { name, readOnly: true, mountPath: TOKEN_PATH }] };
  };
  const containers = spec.containers.map(mount);
  const initContainers = spec.initContainers?.map(mount);
  const added = needed && existing === undefined ? [tokenVolume(name)] : [];
  const volumes = [...(spec.volumes ?? []), ...added];
  return {
    containers,
    ...(initContainers === undefined ? {} : { initContainers }),
    ...(volumes.length === 0 ? {} : { volumes }),
  };
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
      defaultMode: 0o644,
    },
  };
}
