import type { KnownTag } from '../admission/better-tag.ts';
import { findImagePractices, type PracticeId } from '../admission/image-practices.ts';
import { containersOf, findPodSpec } from '../admission/pod-template.ts';
import {
  findSecretPractices,
  type SecretFinding,
  type SecretPracticeId,
} from '../admission/secret-practices.ts';
import { systemClock } from '../base/clock.ts';
import { MalformedSecretError, secretEntries } from '../credentials/pull-secrets.ts';
import { patternMatches } from '../credentials/registry-pattern.ts';
import type { KubeObject } from '../kube/object.ts';
import type { PodSpec } from '../kube/pod.ts';
import type { Secret, ServiceAccount } from '../kube/secret.ts';
import { DEFAULT_TAG, parseNormalizedReference, ReferenceError, repositoryOf } from '../oci/reference.ts';
import type { ExplainSources } from './explain-sources.ts';
import { pullSecretFacts } from './secret-facts.ts';

/** Something that works and tends to hurt later; docs/explain.md describes each `id`. */
export interface Warning {
  readonly id:
    | PracticeId
    | SecretPracticeId
    | 'unnamed-pull-secret'
    | 'plain-registry'
    | 'unverified-registry';
  readonly severity: 'warning' | 'notice';
  /** Field path or `Secret NAMESPACE/NAME`. */
  readonly about: string;
  readonly says: string;
  /** What to do instead, in a sentence. */
  readonly fix: string;
}

/** What the warnings of one object are found from. */
export interface WarningContext {
  readonly object: KubeObject;
  readonly namespace: string;
  readonly account: ServiceAccount | undefined;
  /** Names of the pull secrets that the Pod gets. */
  readonly pullSecrets: readonly string[];
}

/** Finds what a careful reviewer would say about an object: its images, its pull secrets, and the secrets themselves. */
export async function findWarnings(
  context: WarningContext,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<readonly Warning[]> {
  const spec = findPodSpec(context.object)?.spec;
  if (spec === undefined) return [];
  const known = (await sources.knownSecrets?.(context.namespace, signal)) ?? [];
  const tags = await tagsOf(spec, sources, signal);
  const ofImages = findImagePractices(context.object, {
    tags: (repository) => tags.get(repository),
    ...(context.account === undefined ? {} : { serviceAccount: context.account }),
  })
    // A name that is none has its own diagnosis.
    .filter(({ id }) => id !== 'invalid-name')
    .map(({ path, ...finding }) => ({ ...finding, about: path }));
  const ofSecrets = secretWarnings(context, known, sources.now ?? systemClock.now());
  return [...ofImages, ...unnamedSecrets(context, spec, known), ...ofSecrets];
}

/** Asks for the tags of repositories whose image names none or `latest`: only there is a better one wanted. */
async function tagsOf(
  spec: PodSpec,
  sources: ExplainSources,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly KnownTag[]>> {
  const found = new Map<string, readonly KnownTag[]>();
  if (sources.tags === undefined) return found;
  for (const { image } of imagesOf(spec, '')) {
    const reference = parse(image);
    if (reference === undefined || reference.digest !== undefined) continue;
    const repository = repositoryOf(reference);
    if ((reference.tag ?? DEFAULT_TAG) !== DEFAULT_TAG || found.has(repository)) continue;
    found.set(repository, (await sources.tags(repository, signal)) ?? []);
  }
  return found;
}

/** Finds images for which a secret of the namespace holds a login that the Pod does not get. */
function unnamedSecrets(context: WarningContext, spec: PodSpec, known: readonly Secret[]): Warning[] {
  const base = findPodSpec(context.object)?.path.join('.') ?? '';
  const given = new Set(context.pullSecrets);
  const others = known.filter(
    ({ metadata }) =>
      (metadata.namespace ?? context.namespace) === context.namespace && !given.has(metadata.name),
  );
  if (others.length === 0) return [];
  const own = known.filter(
    ({ metadata }) =>
      (metadata.namespace ?? context.namespace) === context.namespace && given.has(metadata.name),
  );
  return imagesOf(spec, base).flatMap(({ image, path }) => {
    const reference = parse(image);
    if (reference === undefined) return [];
    const repository = repositoryOf(reference);
    if (own.some((secret) => matches(secret, repository))) return [];
    const fitting = others.filter((secret) => matches(secret, repository));
    const [first] = fitting;
    if (first === undefined) return [];
    const names = fitting.map(({ metadata }) => `Secret ${context.namespace}/${metadata.name}`).join(', ');
    return [
      {
        id: 'unnamed-pull-secret' as const,
        severity: 'warning' as const,
        about: path,
        says: `${names} holds a login for this image, and neither the Pod nor its service account names it`,
        fix: `add "${first.metadata.name}" to imagePullSecrets of the service account`,
      },
    ];
  });
}

function matches(secret: Secret, repository: string): boolean {
  try {
    return (secretEntries(secret) ?? []).some(({ key }) => patternMatches(key, repository));
  } catch (error) {
    if (error instanceof MalformedSecretError) return false;
    throw error;
  }
}

/** Findings about all secrets of one source, computed once for all objects that name some of them. */
const judged = new WeakMap<readonly Secret[], ReadonlyMap<string, readonly SecretFinding[]>>();

function secretWarnings(context: WarningContext, known: readonly Secret[], now: number): Warning[] {
  let bySource = judged.get(known);
  if (bySource === undefined) {
    const facts = known.flatMap((secret) => pullSecretFacts(secret, context.namespace, now) ?? []);
    bySource = Map.groupBy(findSecretPractices(facts, now), ({ source }) => source);
    judged.set(known, bySource);
  }
  return [...new Set(context.pullSecrets)].flatMap((name) =>
    (bySource.get(`Secret ${context.namespace}/${name}`) ?? []).map(({ source, ...finding }) => ({
      ...finding,
      about: source,
    })),
  );
}

/** Finds registries that the node would reach without TLS, or without checking who answers. */
export async function registryWarnings(
  registry: string,
  sources: ExplainSources,
): Promise<readonly Warning[]> {
  const hosts = (await sources.hosts?.(registry)) ?? [];
  const local = /^(?:localhost|127\.|\[::1\])/;
  return hosts.flatMap(({ host, scheme, skipVerify }): Warning[] => {
    if (local.test(host)) return [];
    const about = `registry ${registry}`;
    const asked = host === registry ? 'it' : `its mirror ${host}`;
    if (scheme === 'http') {
      return [
        {
          id: 'plain-registry',
          severity: 'warning',
          about,
          says: `${asked} is asked without TLS: whoever is on the way reads the credential and may change what is not pinned by digest`,
          fix: 'serve it over TLS',
        },
      ];
    }
    if (!skipVerify) return [];
    return [
      {
        id: 'unverified-registry',
        severity: 'warning',
        about,
        says: `the certificate of ${host === registry ? 'the registry' : asked} is not checked: anybody may answer in its name`,
        fix: 'name its authority as ca in hosts.toml instead of skip_verify',
      },
    ];
  });
}

function imagesOf(spec: PodSpec, base: string): { image: string; path: string }[] {
  const images = containersOf(spec).map(({ container, kind, index }) => ({
    image: container.image ?? '',
    path: `${base}.${kind}[${index}].image`,
  }));
  for (const [index, { image }] of (spec.volumes ?? []).entries()) {
    if (image !== undefined)
      images.push({ image: image.reference ?? '', path: `${base}.volumes[${index}].image.reference` });
  }
  return images;
}

function parse(image: string): ReturnType<typeof parseNormalizedReference> | undefined {
  try {
    return parseNormalizedReference(image);
  } catch (error) {
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}
