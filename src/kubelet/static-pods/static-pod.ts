import { createHash } from 'node:crypto';
import { CodedError, messageOf } from '../../base/coded-error.ts';
import { secretsOf } from '../../admission/pod-secrets.ts';
import { containersOf } from '../../admission/pod-template.ts';
import { pullPolicyOf } from '../../admission/pull-policy.ts';
import { setDefaults } from '../../kube/default/set-defaults.ts';
import { decodeObject } from '../../kube/decode/decode-object.ts';
import type { Pod, PodSpec } from '../../kube/pod.ts';
import { findKind } from '../../kube/resources.ts';
import { qosClassOf } from '../../kube/strategy.ts';
import { formatTime } from '../../kube/time.ts';
import { validateCreate } from '../../kube/validate/validate-object.ts';
import { CONFIG_HASH, CONFIG_SEEN, CONFIG_SOURCE } from './static-pod-marks.ts';

/** `UNREADABLE`: no Pod in the file. `INVALID`: a Pod that cannot be. `NEEDS_API`: it refers to objects that only the API has. */
export class StaticPodError extends CodedError<'UNREADABLE' | 'INVALID' | 'NEEDS_API'> {}

/** Where a static Pod comes from. */
export interface StaticPodOrigin {
  readonly nodeName: string;
  /** File it stands in: equal Pods of two files are two Pods. */
  readonly file: string;
  readonly now: number;
}

/**
 * Makes a Pod of a file's text: defaults set, checked, named `NAME-NODE`, bound to the node, its UID the hash of what it says
 * and where it stands, so that the same file is the same Pod after a restart.
 *
 * @throws StaticPodError
 */
export function staticPodOf(text: string, { nodeName, file, now }: StaticPodOrigin): Pod {
  const resource = findKind('v1', 'Pod');
  if (resource === undefined) throw new Error('the kind Pod is not built in');
  let pod: Pod;
  try {
    pod = decodeObject<Pod>(Buffer.from(text), {
      mediaType: 'application/yaml',
      expect: resource,
      fieldValidation: 'Ignore',
    }).object;
  } catch (error) {
    throw new StaticPodError('UNREADABLE', `Cannot use ${JSON.stringify(file)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  setDefaults(pod, { pullPolicyOf });
  const hash = createHash('md5')
    .update(`host:${nodeName}file:${file}`)
    .update(JSON.stringify({ metadata: pod.metadata, spec: pod.spec }))
    .digest('hex');
  const uid = pod.metadata.uid ?? hash;
  const result: Pod = {
    ...pod,
    metadata: {
      ...pod.metadata,
      name: `${pod.metadata.name}-${nodeName.toLowerCase()}`,
      namespace: pod.metadata.namespace ?? 'default',
      uid,
      creationTimestamp: formatTime(now),
      annotations: {
        ...pod.metadata.annotations,
        [CONFIG_HASH]: uid,
        [CONFIG_SEEN]: new Date(now).toISOString(),
        [CONFIG_SOURCE]: 'file',
      },
    },
    spec: {
      ...pod.spec,
      nodeName,
      // It stays whatever becomes of the node.
      tolerations: [...(pod.spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }],
    },
    status: { phase: 'Pending', qosClass: qosClassOf(pod.spec) },
  };
  const problems = validateCreate(result, resource);
  if (problems.length > 0) {
    const texts = problems.map(({ field, message }) => `${field}: ${message}`).join(', ');
    throw new StaticPodError('INVALID', `Cannot use ${JSON.stringify(file)}: invalid pod: [${texts}]`);
  }
  const needed = needsOfApi(result.spec);
  if (needed !== undefined) {
    throw new StaticPodError(
      'NEEDS_API',
      `Cannot use ${JSON.stringify(file)}: static pods may not reference ${needed}`,
    );
  }
  return result;
}

/** Names the kind of object that a Pod needs from the API; undefined when it needs none. */
function needsOfApi(spec: PodSpec): string | undefined {
  if (secretsOf(spec).length > 0) return 'secrets';
  if ((spec.serviceAccountName ?? '') !== '') return 'serviceaccounts';
  for (const { container } of containersOf(spec)) {
    const whole = (container.envFrom ?? []).some(({ configMapRef }) => configMapRef !== undefined);
    if (whole || (container.env ?? []).some(({ valueFrom }) => valueFrom?.configMapKeyRef !== undefined))
      return 'configmaps';
  }
  for (const volume of spec.volumes ?? []) {
    if (volume.configMap !== undefined) return 'configmaps';
    if (volume.persistentVolumeClaim !== undefined) return 'persistentvolumeclaims';
    for (const source of volume.projected?.sources ?? []) {
      if (source.configMap !== undefined) return 'configmaps';
      if (source.serviceAccountToken !== undefined) return 'serviceaccounts';
    }
  }
  return undefined;
}
