import type { KubeObject } from '../kube/object.ts';
import type { PodSpec, PullPolicy } from '../kube/pod.ts';
import type { ServiceAccount } from '../kube/secret.ts';
import { diagnoseReference } from '../oci/reference-diagnosis.ts';
import {
  DEFAULT_DOMAIN,
  DEFAULT_TAG,
  parseNormalizedReference,
  ReferenceError,
  repositoryOf,
  type Reference,
} from '../oci/reference.ts';
import { betterTag, type KnownTag } from './better-tag.ts';
import { containersOf, findPodSpec } from './pod-template.ts';
import { pullPolicyOf } from './pull-policy.ts';

export type PracticeId =
  | 'invalid-name'
  | 'moving-tag'
  | 'moving-tag-not-pulled'
  | 'digest-always-pulled'
  | 'tag-beside-digest'
  | 'short-name'
  | 'never-pulled'
  | 'no-pull-secret'
  | 'pull-secret-per-pod'
  | 'duplicate-pull-secret'
  | 'empty-pull-secret';

/** Something that Kubernetes accepts and that tends to hurt later. */
export interface PracticeFinding {
  readonly id: PracticeId;
  readonly severity: 'warning' | 'notice';
  /** Field path such as `spec.template.spec.containers[0].image`. */
  readonly path: string;
  readonly says: string;
  /** What to write instead, in a sentence. */
  readonly fix: string;
}

/** What is known beside the object; everything is optional, and what is unknown is not complained about. */
export interface PracticeContext {
  /** Tags of a repository (`registry.example/team/app`). */
  readonly tags?: (repository: string) => readonly KnownTag[] | undefined;
  /** Digest that the image names at the moment. */
  readonly digestOf?: (image: string) => string | undefined;
  /** The object's service account. */
  readonly serviceAccount?: ServiceAccount;
  /** Tells whether a registry (`registry.example:5000`) is known to refuse anonymous pulls. */
  readonly isPrivate?: (domain: string) => boolean;
}

/** Looks at every image and pull secret of an object as a careful reviewer would. */
export function findImagePractices(
  object: KubeObject,
  context: PracticeContext = {},
): readonly PracticeFinding[] {
  const located = findPodSpec(object);
  if (located === undefined) return [];
  const { spec } = located;
  const base = located.path.join('.');
  const findings: PracticeFinding[] = [];
  for (const image of imagesOf(spec, base)) findings.push(...judgeImage(image, spec, context));
  findings.push(...judgePullSecrets(object, spec, base, context));
  return findings;
}

interface LocatedImage {
  readonly image: string;
  readonly policy: PullPolicy | undefined;
  readonly imagePath: string;
  readonly policyPath: string;
}

function imagesOf(spec: PodSpec, base: string): readonly LocatedImage[] {
  const images: LocatedImage[] = containersOf(spec).map(({ kind, index, container }) => ({
    image: container.image ?? '',
    policy: container.imagePullPolicy,
    imagePath: `${base}.${kind}[${index}].image`,
    policyPath: `${base}.${kind}[${index}].imagePullPolicy`,
  }));
  for (const [i, { image }] of (spec.volumes ?? []).entries()) {
    if (image === undefined) continue;
    images.push({
      image: image.reference ?? '',
      policy: image.pullPolicy,
      imagePath: `${base}.volumes[${i}].image.reference`,
      policyPath: `${base}.volumes[${i}].image.pullPolicy`,
    });
  }
  return images.filter(({ image }) => image !== '');
}

function judgeImage(located: LocatedImage, spec: PodSpec, context: PracticeContext): PracticeFinding[] {
  const { image, imagePath, policyPath } = located;
  const reference = read(image);
  if (reference === undefined) {
    const found = diagnoseReference(image);
    const fix = found?.suggestion === undefined ? 'correct the name' : `write "${found.suggestion}"`;
    return [
      {
        id: 'invalid-name',
        severity: 'warning',
        path: imagePath,
        says: `"${image}" is no image name: ${found?.says ?? 'it cannot be read'}`,
        fix,
      },
    ];
  }
  const findings: PracticeFinding[] = [];
  const add = (
    id: PracticeId,
    severity: PracticeFinding['severity'],
    path: string,
    says: string,
    fix: string,
  ): void => {
    findings.push({ id, severity, path, says, fix });
  };
  const policy = located.policy ?? pullPolicyOf(image);
  const { tag, digest, domain } = reference;
  const moving = digest === undefined && (tag === undefined || tag === DEFAULT_TAG);
  if (moving) {
    const better = betterTag(context.tags?.(repositoryOf(reference)) ?? [], context.digestOf?.(image));
    const fix =
      better === undefined
        ? 'name a version, or pin the image by digest'
        : `write "${image.replace(/:latest$/, '')}:${better}"`;
    add(
      'moving-tag',
      'warning',
      imagePath,
      `"${image}" names whatever is latest: it cannot be told which version runs, nor rolled back`,
      fix,
    );
    if (policy !== 'Always') {
      add(
        'moving-tag-not-pulled',
        'warning',
        policyPath,
        `with policy ${policy} each node keeps the "latest" that it saw first`,
        'name a version, or use imagePullPolicy: Always',
      );
    }
  }
  if (digest !== undefined && policy === 'Always') {
    add(
      'digest-always-pulled',
      'notice',
      policyPath,
      'a digest always names the same bytes: asking the registry at every start only adds a way to fail',
      'use imagePullPolicy: IfNotPresent',
    );
  }
  if (digest !== undefined && tag !== undefined) {
    add(
      'tag-beside-digest',
      'notice',
      imagePath,
      `the digest decides; the tag "${tag}" is only a comment`,
      'keep tag and digest in step, or leave the tag out',
    );
  }
  if (domain === DEFAULT_DOMAIN && !image.startsWith(`${DEFAULT_DOMAIN}/`)) {
    add(
      'short-name',
      'notice',
      imagePath,
      `"${image}" names no registry: it means ${repositoryOf(reference)} here, and may mean another elsewhere`,
      `write "${repositoryOf(reference)}${suffix(reference)}"`,
    );
  }
  if (policy === 'Never') {
    add(
      'never-pulled',
      'notice',
      policyPath,
      'with policy Never the Pod starts only on nodes that have the image already',
      'make sure that every node it may run on has the image, or use IfNotPresent',
    );
  }
  const accountSecrets = context.serviceAccount?.imagePullSecrets ?? [];
  if (
    context.isPrivate?.(domain) === true &&
    (spec.imagePullSecrets ?? []).length === 0 &&
    accountSecrets.length === 0
  ) {
    add(
      'no-pull-secret',
      'warning',
      imagePath,
      `${domain} refuses anonymous pulls, and neither the Pod nor its service account names a pull secret`,
      'add the secret to imagePullSecrets of the service account',
    );
  }
  return findings;
}

function judgePullSecrets(
  object: KubeObject,
  spec: PodSpec,
  base: string,
  context: PracticeContext,
): PracticeFinding[] {
  const findings: PracticeFinding[] = [];
  const secrets = spec.imagePullSecrets ?? [];
  const seen = new Set<string>();
  for (const [i, { name = '' }] of secrets.entries()) {
    const path = `${base}.imagePullSecrets[${i}].name`;
    if (name === '') {
      findings.push({
        id: 'empty-pull-secret',
        severity: 'warning',
        path,
        says: 'a pull secret without a name is skipped',
        fix: 'name it or remove it',
      });
    } else if (seen.has(name)) {
      findings.push({
        id: 'duplicate-pull-secret',
        severity: 'warning',
        path,
        says: `"${name}" is named twice`,
        fix: 'remove one of them',
      });
    }
    seen.add(name);
  }
  const ofAccount = new Set((context.serviceAccount?.imagePullSecrets ?? []).map(({ name = '' }) => name));
  const own = [...seen].filter((name) => name !== '' && !ofAccount.has(name));
  if (own.length > 0) {
    const account = spec.serviceAccountName ?? 'default';
    findings.push({
      id: 'pull-secret-per-pod',
      severity: 'notice',
      path: `${base}.imagePullSecrets`,
      says: `${object.kind} ${object.metadata?.name ?? ''} names its pull secrets itself (${own.join(', ')}): each workload must be changed when the credential moves`,
      fix: `name them in imagePullSecrets of service account "${account}" instead`,
    });
  }
  return findings;
}

function suffix({ tag, digest }: Reference): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function read(image: string): Reference | undefined {
  try {
    return parseNormalizedReference(image);
  } catch (error) {
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}
