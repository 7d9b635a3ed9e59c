import type { Traced, TraceStep } from '../base/trace.ts';
import { containersOf, findPodSpec } from '../admission/pod-template.ts';
import { explainPullPolicy } from '../admission/pull-policy.ts';
import type { KubeObject } from '../kube/object.ts';
import type { PodSpec, PullPolicy } from '../kube/pod.ts';
import type { ServiceAccount } from '../kube/secret.ts';
import { explainImage, type ImageExplanation, type PodContext } from './explain-image.ts';
import { SourceError, type ExplainSources } from './explain-sources.ts';
import { findWarnings, type Warning } from './explain-warnings.ts';

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
  /** What concerns the object as a whole, such as what could not be looked up. */
  readonly problems: readonly string[];
  /** About its pull secrets; those about an image stand with it. */
  readonly warnings: readonly Warning[];
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
  const account = await readAccount(namespace, serviceAccountName, sources, signal);
  const secrets = pullSecretsOf(found.spec, namespace, serviceAccountName, account, sources);
  const pod: PodContext = {
    namespace,
    podName: object.metadata.name,
    serviceAccountName,
    imagePullSecrets: secrets.result,
  };
  const pullSecrets = secrets.result.map((each) => each.name ?? '');
  const context = { object, namespace, account: account.found, pullSecrets };
  const warnings = await findWarnings(context, sources, signal);
  const of = (field: string): readonly Warning[] =>
    warnings.filter(({ about }) => about.startsWith(`${field}.`));
  const path = found.path.join('.');
  const images: ImageExplanation[] = [];
  for (const { container, kind, index } of containersOf(found.spec)) {
    const field = `${path}.${kind}[${index}]`;
    images.push(
      await explainOne(
        {
          field,
          name: container.name,
          image: container.image ?? '',
          given: container.imagePullPolicy,
          warnings: of(field),
        },
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
        {
          field,
          name: volume.name,
          image: volume.image.reference ?? '',
          given: volume.image.pullPolicy,
          warnings: of(field),
        },
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
    imagePullSecrets: pullSecrets,
    trace: secrets.trace,
    images,
    problems: account.problems,
    warnings: warnings.filter(({ about }) => !images.some(({ field }) => about.startsWith(`${field}.`))),
  };
}

interface FoundAccount {
  readonly found: ServiceAccount | undefined;
  readonly problems: readonly string[];
}

async function readAccount(
  namespace: string,
  name: string,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<FoundAccount> {
  try {
    return { found: await sources.serviceAccount(namespace, name, signal), problems: [] };
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    const says = `ServiceAccount ${namespace}/${name} may not be read by you (${error.message}): which pull secrets it names is not known`;
    return { found: undefined, problems: [says] };
  }
}

/** Pull secrets after ServiceAccount admission: the Pod's own list, or the account's where the Pod has none (8.3). */
function pullSecretsOf(
  spec: PodSpec,
  namespace: string,
  serviceAccountName: string,
  { found: account, problems }: FoundAccount,
  sources: ExplainSources,
): Traced<readonly { readonly name?: string }[]> {
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
  if (account === undefined) {
    return {
      result: [],
      trace: [
        {
          rule: '8.3',
          says:
            problems.length > 0
              ? 'the Pod names no pull secret, and the service account may not be read by you'
              : `the Pod names no pull secret, and the service account is not among ${sources.description}`,
          source,
        },
      ],
    };
  }
  const inherited = account.imagePullSecrets ?? [];
  const says =
    inherited.length === 0
      ? 'neither the Pod nor its service account names a pull secret'
      : `the Pod names no pull secret and gets ${inherited.length === 1 ? 'the one' : `the ${inherited.length}`} of its service account`;
  return { result: inherited, trace: [{ rule: '8.3', says, source }] };
}

async function explainOne(
  subject: {
    field: string;
    name: string;
    image: string;
    given: PullPolicy | undefined;
    warnings: readonly Warning[];
  },
  pod: PodContext,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<ImageExplanation> {
  const policy = policyOf(subject.image, subject.given, sources.alwaysPullImages);
  return explainImage({ ...subject, policy }, pod, sources, signal);
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
