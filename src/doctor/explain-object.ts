import type { Traced, TraceStep } from '../base/trace.ts';
import { containersOf, findPodSpec } from '../admission/pod-template.ts';
import { explainPullPolicy } from '../admission/pull-policy.ts';
import type { KubeObject } from '../kube/object.ts';
import type { PodSpec, PullPolicy } from '../kube/pod.ts';
import { explainImage, type ImageExplanation, type PodContext } from './explain-image.ts';
import type { ExplainSources } from './explain-sources.ts';

/** What happens to each image of one object. */
export interface ObjectExplanation {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  /** Names of the pull secrets that the Pod gets, and how (8.3). */
  readonly imagePullSecrets: readonly string[];
  readonly trace: readonly TraceStep[];
  readonly images: readonly ImageExplanation[];
}

/** Explains a Pod or anything with a Pod template; undefined for an object that runs nothing. */
export async function explainObject(
  object: KubeObject,
  namespace: string,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<ObjectExplanation | undefined> {
  const found = findPodSpec(object);
  if (found === undefined) return undefined;
  const serviceAccountName = found.spec.serviceAccountName ?? found.spec.serviceAccount ?? 'default';
  const secrets = await pullSecretsOf(found.spec, namespace, serviceAccountName, sources, signal);
  const pod: PodContext = {
    namespace,
    podName: object.metadata.name,
    serviceAccountName,
    imagePullSecrets: secrets.result,
  };
  const path = found.path.join('.');
  const images: ImageExplanation[] = [];
  for (const { container, kind, index } of containersOf(found.spec)) {
    const field = `${path}.${kind}[${index}]`;
    images.push(
      await explainOne(
        { field, name: container.name, image: container.image ?? '', given: container.imagePullPolicy },
        pod,
        sources,
        signal,
      ),
    );
  }
  for (const [index, volume] of (found.spec.volumes ?? []).entries()) {
    if (volume.image === undefined) continue;
    const field = `${path}.volumes[${index}].image`;
    images.push(
      await explainOne(
        { field, name: volume.name, image: volume.image.reference ?? '', given: volume.image.pullPolicy },
        pod,
        sources,
        signal,
      ),
    );
  }
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    namespace,
    name: object.metadata.name,
    serviceAccount: serviceAccountName,
    imagePullSecrets: secrets.result.map((each) => each.name ?? ''),
    trace: secrets.trace,
    images,
  };
}

/** Pull secrets after ServiceAccount admission: the Pod's own list, or the account's where the Pod has none (8.3). */
async function pullSecretsOf(
  spec: PodSpec,
  namespace: string,
  serviceAccountName: string,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<Traced<readonly { readonly name?: string }[]>> {
  const own = spec.imagePullSecrets ?? [];
  const source = `ServiceAccount ${namespace}/${serviceAccountName}`;
  if (own.length > 0) {
    return {
      result: own,
      trace: [
        {
          rule: '8.3',
          says: 'the Pod names pull secrets itself: those of its service account are not used',
          source,
        },
      ],
    };
  }
  const account = await sources.serviceAccount(namespace, serviceAccountName, signal);
  if (account === undefined) {
    return {
      result: [],
      trace: [
        {
          rule: '8.3',
          says: `the Pod names no pull secret, and the service account is not among ${sources.description}`,
          source,
        },
      ],
    };
  }
  const inherited = account.imagePullSecrets ?? [];
  const says =
    inherited.length === 0
      ? 'neither the Pod nor its service account names a pull secret'
      : `the Pod names no pull secret and gets the ${inherited.length} of its service account`;
  return { result: inherited, trace: [{ rule: '8.3', says, source }] };
}

async function explainOne(
  subject: { field: string; name: string; image: string; given: PullPolicy | undefined },
  pod: PodContext,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<ImageExplanation> {
  const policy = policyOf(subject.image, subject.given, sources.alwaysPullImages);
  return explainImage({ ...subject, policy, warnings: [] }, pod, sources, signal);
}

function policyOf(
  image: string,
  given: PullPolicy | undefined,
  alwaysPullImages: boolean,
): Traced<PullPolicy> {
  const set = given !== undefined && (given as string) !== '';
  const own: Traced<PullPolicy> = set
    ? {
        result: given,
        trace: [{ rule: '2.4', says: `the manifest sets ${given}, and it stays whatever the image becomes` }],
      }
    : explainPullPolicy(image);
  if (!alwaysPullImages) return own;
  return {
    result: 'Always',
    trace: [...own.trace, { rule: '2.10', says: 'the AlwaysPullImages admission makes it Always' }],
  };
}
