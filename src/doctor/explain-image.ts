import type { TraceStep, Traced } from '../base/trace.ts';
import { findCandidates, type PodIdentity } from '../credentials/candidates.ts';
import { describeSource } from '../credentials/keyring.ts';
import { MalformedSecretError, retrievePullSecrets } from '../credentials/pull-secrets.ts';
import type { PullPolicy } from '../kube/pod.ts';
import type { Secret } from '../kube/secret.ts';
import { HostConfigError } from '../remote/hosts/host-config-error.ts';
import { NO_CREDENTIALS, type PulledRecord } from '../kubelet/images/pull-record.ts';
import { decideVerification, matchCredentials } from '../kubelet/images/verification-decision.ts';
import {
  familiarReference,
  formatReference,
  parseImageName,
  parseNormalizedReference,
  ReferenceError,
  repositoryOf,
  trimTagAndDigest,
} from '../oci/reference.ts';
import { diagnoseReference, type ReferenceDiagnosis } from '../oci/reference-diagnosis.ts';
import { SourceError, type ExplainSources } from './explain-sources.ts';
import { registryWarnings, type Warning } from './explain-warnings.ts';

/** What happens to one image of one Pod, and why. Holds names of credentials only. */
export interface ImageExplanation {
  /** Field path: `spec.containers[0]`, `spec.volumes[1].image`. */
  readonly field: string;
  readonly name: string;
  /** String as in the manifest. */
  readonly image: string;
  readonly reference: ReferenceExplanation;
  readonly policy: { readonly value: PullPolicy; readonly trace: readonly TraceStep[] };
  readonly decisions: readonly CaseDecision[];
  /** In the order in which they would be tried; none means one anonymous pull. */
  readonly candidates: readonly { readonly source: string; readonly key: string }[];
  readonly credentialTrace: readonly TraceStep[];
  readonly problems: readonly string[];
  readonly warnings: readonly Warning[];
}

export type ReferenceExplanation =
  | {
      readonly valid: true;
      /** With host and path filled in, tag or digest included. */
      readonly normalized: string;
      readonly familiar: string;
      readonly registry: string;
      readonly repository: string;
      readonly tag?: string;
      readonly digest?: string;
    }
  | {
      readonly valid: false;
      /** The kubelet's words. */
      readonly error: string;
      /** Where it goes wrong, and what is probably meant. */
      readonly diagnosis?: ReferenceDiagnosis;
    };

/** What the node would do in one case of what it holds. */
export interface CaseDecision {
  readonly when: 'absent' | 'present, preloaded' | 'present, pulled by this node for another credential';
  readonly outcome: 'pull' | 'use' | 'ErrImageNeverPull' | 'InvalidImageName';
  readonly trace: readonly TraceStep[];
}

/** The Pod around an image, as far as pulling looks at it. */
export interface PodContext {
  readonly namespace: string;
  readonly podName: string;
  readonly serviceAccountName: string;
  /** After ServiceAccount admission (8.3). */
  readonly imagePullSecrets: readonly { readonly name?: string }[];
}

/** Explains one image: what its name means, what each case of local state leads to, and which credentials would be tried. */
export async function explainImage(
  subject: {
    field: string;
    name: string;
    image: string;
    policy: Traced<PullPolicy>;
    warnings: readonly Warning[];
  },
  pod: PodContext,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<ImageExplanation> {
  const reference = explainReference(subject.image);
  const credentials = reference.valid
    ? await explainCredentials(reference.repository, pod, sources, signal)
    : { candidates: [], trace: [], problems: [] };
  const registry = reference.valid ? await explainRegistry(reference.registry, sources) : NOTHING_SAID;
  return {
    field: subject.field,
    name: subject.name,
    image: subject.image,
    reference,
    policy: { value: subject.policy.result, trace: subject.policy.trace },
    decisions: explainDecisions(subject.image, subject.policy.result, reference.valid, sources),
    candidates: credentials.candidates,
    credentialTrace: credentials.trace,
    problems: [...credentials.problems, ...registry.problems],
    warnings: [...subject.warnings, ...registry.warnings],
  };
}

interface RegistryRemarks {
  readonly problems: readonly string[];
  readonly warnings: readonly Warning[];
}

const NOTHING_SAID: RegistryRemarks = { problems: [], warnings: [] };

/** A registry whose configuration cannot be read fails each pull from it (rule 16.11). */
async function explainRegistry(registry: string, sources: ExplainSources): Promise<RegistryRemarks> {
  try {
    return { problems: [], warnings: await registryWarnings(registry, sources) };
  } catch (error) {
    if (!(error instanceof HostConfigError)) throw error;
    return { problems: [error.message], warnings: [] };
  }
}

/** Says what a name means on a node (rules 1.10, 1.15). */
export function explainReference(image: string): ReferenceExplanation {
  try {
    const { tag, digest } = parseImageName(image);
    const parsed = parseNormalizedReference(image);
    const complete = { ...parsed, tag: tag === '' ? undefined : tag };
    return {
      valid: true,
      normalized: formatReference(complete),
      familiar: familiarReference(complete),
      registry: parsed.domain,
      repository: repositoryOf(parsed),
      ...(tag === '' ? {} : { tag }),
      ...(digest === '' ? {} : { digest }),
    };
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const diagnosis = diagnoseReference(image);
    return { valid: false, error: error.message, ...(diagnosis === undefined ? {} : { diagnosis }) };
  }
}

function explainDecisions(
  image: string,
  policy: PullPolicy,
  valid: boolean,
  sources: ExplainSources,
): CaseDecision[] {
  if (!valid) {
    const trace = [
      { rule: '3.1', says: 'the default tag cannot be applied: InvalidImageName, nothing is pulled' },
    ];
    return [{ when: 'absent', outcome: 'InvalidImageName', trace }];
  }
  if (policy === 'Always') {
    const trace = [
      {
        rule: '3.3',
        says: 'policy Always: the node does not look at what it has; the name is resolved at the registry, bytes already held are not fetched again',
      },
    ];
    return (
      ['absent', 'present, preloaded', 'present, pulled by this node for another credential'] as const
    ).map((when) => ({ when, outcome: 'pull', trace }));
  }
  const absent: CaseDecision =
    policy === 'Never'
      ? {
          when: 'absent',
          outcome: 'ErrImageNeverPull',
          trace: [
            {
              rule: '3.5',
              says: 'policy Never and the image is absent: the container waits with ErrImageNeverPull',
            },
          ],
        }
      : {
          when: 'absent',
          outcome: 'pull',
          trace: [{ rule: '3.4', says: 'policy IfNotPresent and the image is absent: pull' }],
        };
  const present = (when: CaseDecision['when'], pulledByNode: boolean): CaseDecision => {
    const { policy: verification, allowlist } = sources.verification;
    const verdict = decideVerification({
      image,
      imageRef: 'sha256:present',
      policy: verification,
      allowlist,
      record: pulledByNode ? foreignRecord(image) : undefined,
      intent: false,
    });
    const compared =
      'compareWith' in verdict.result
        ? matchCredentials(verdict.result.compareWith, { secrets: [], serviceAccount: undefined })
        : { result: verdict.result, trace: [] };
    const trace = [...verdict.trace, ...compared.trace];
    if (!compared.result.pull) return { when, outcome: 'use', trace };
    if (policy !== 'Never') return { when, outcome: 'pull', trace };
    return {
      when,
      outcome: 'ErrImageNeverPull',
      trace: [
        ...trace,
        { rule: '3.7', says: 'policy Never: an image that the Pod may not use counts as absent' },
      ],
    };
  };
  return [
    absent,
    present('present, preloaded', false),
    present('present, pulled by this node for another credential', true),
  ];
}

/** A record that names a credential which the Pod cannot show: the case in which it must prove its right. */
function foreignRecord(image: string): PulledRecord {
  const credentials = {
    ...NO_CREDENTIALS,
    kubernetesSecrets: [{ uid: '-', namespace: '-', name: '-', credentialHash: '-' }],
  };
  return {
    lastUpdatedTime: '1970-01-01T00:00:00Z',
    imageRef: 'sha256:present',
    credentialMapping: new Map([[trimTagAndDigest(image), credentials]]),
  };
}

async function explainCredentials(
  repository: string,
  pod: PodContext,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<{ candidates: { source: string; key: string }[]; trace: TraceStep[]; problems: string[] }> {
  const forbidden: string[] = [];
  const hidden: TraceStep[] = [];
  const read = async (namespace: string, name: string): Promise<Secret | undefined> => {
    try {
      return await sources.secret(namespace, name, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SourceError)) throw error;
      const source = `Secret ${namespace}/${name}`;
      hidden.push({ rule: '6.20', says: 'may not be read by you; the node may read it', source });
      forbidden.push(
        `${source} may not be read by you (${error.message}): whether it holds a login for this image is not known`,
      );
      return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace } };
    }
  };
  const named = await retrievePullSecrets(pod.namespace, pod.imagePullSecrets, read);
  const hiddenNames = new Set(hidden.map(({ source }) => source));
  const retrieved = {
    secrets: named.secrets.filter(
      ({ metadata }) => !hiddenNames.has(`Secret ${pod.namespace}/${metadata.name}`),
    ),
    trace: [...named.trace, ...hidden],
  };
  const problems = [...(named.warning === undefined ? [] : [named.warning.message]), ...forbidden];
  const identity: PodIdentity = {
    namespace: pod.namespace,
    name: pod.podName,
    uid: '',
    serviceAccountName: pod.serviceAccountName,
  };
  try {
    const found = await findCandidates(
      {
        image: repository,
        secrets: retrieved.secrets,
        ...(sources.nodeFiles === undefined ? {} : { nodeFiles: sources.nodeFiles }),
        ...(sources.providers === undefined ? {} : { providers: sources.providers }),
        pod: identity,
        explain: true,
      },
      signal,
    );
    return {
      candidates: found.result.map((candidate) => ({
        source: describeSource(candidate.source),
        key: candidate.key,
      })),
      trace: [...retrieved.trace, ...found.trace],
      problems,
    };
  } catch (error) {
    if (!(error instanceof MalformedSecretError)) throw error;
    return {
      candidates: [],
      trace: [
        ...retrieved.trace,
        {
          rule: '6.19',
          says: `cannot be read, so the whole request fails: ${error.message}`,
          source: `Secret ${error.namespace}/${error.secret}`,
        },
      ],
      problems: [
        ...problems,
        `Secret ${error.namespace}/${error.secret} is malformed (${error.message}): no pull of this Pod can succeed`,
      ],
    };
  }
}
