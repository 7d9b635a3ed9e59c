import type { Digest } from '../../oci/digest.ts';
import { globMatcher } from '../glob.ts';
import type { RetainedManifest, TagRecord } from '../metadata/collection-index.ts';
import { tagProtection, type Policy, type RetentionRule } from '../policy.ts';
import { isAttachedTag, subjectFinder } from './attached-tags.ts';

const DAY_MS = 24 * 3_600_000;

/** Why something is kept or goes, as people read it. */
export interface RetentionVerdict {
  readonly keep: boolean;
  readonly reason: string;
}

export interface TagVerdict extends RetentionVerdict {
  readonly tag: TagRecord;
}

export interface ManifestVerdict extends RetentionVerdict {
  readonly manifest: RetainedManifest;
}

export interface RepositoryContent {
  readonly repository: string;
  readonly tags: readonly TagRecord[];
  readonly manifests: readonly RetainedManifest[];
}

/** What retention has to know beside the content. */
export interface RetentionFacts {
  readonly policy: Policy;
  /** What a cluster uses now: digests of manifests or of indexes, and `path:tag` names. */
  readonly inUse: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Decides what of a repository stays. Nothing goes that a cluster uses, that an index which stays needs, that belongs to a
 * subject which stays, or that a policy fixes.
 */
export function decideRetention(
  content: RepositoryContent,
  facts: RetentionFacts,
): { tags: TagVerdict[]; manifests: ManifestVerdict[] } {
  const subjectOf = subjectFinder(content.manifests.map(({ digest }) => digest));
  const verdicts = judgeTags(content, facts, subjectOf);
  const live = liveFrom(content, facts, verdicts, subjectOf);
  const tags = content.tags.map((tag) => ({
    tag,
    ...(verdicts.get(tag) ?? judgeAttached(subjectOf(tag.name), live)),
  }));
  const manifests = content.manifests.map((manifest) => ({
    manifest,
    ...judgeManifest(manifest, live, facts),
  }));
  return { tags, manifests };
}

type SubjectOf = (tag: string) => Digest | undefined;

/** Judges all tags but those that stay and go with the manifest that they are named after. */
function judgeTags(
  content: RepositoryContent,
  facts: RetentionFacts,
  subjectOf: SubjectOf,
): ReadonlyMap<TagRecord, RetentionVerdict> {
  const byDigest = new Map(content.manifests.map((manifest) => [manifest.digest, manifest]));
  // A signature is no version: it must not take the place of one among the newest.
  const versions = content.tags.filter(({ name }) => !isAttachedTag(name));
  const verdicts = new Map<TagRecord, RetentionVerdict>();
  for (const tag of content.tags) {
    const { rules, kept } = rulesFor(tag, content.repository, facts, byDigest);
    if (kept !== undefined) verdicts.set(tag, { keep: true, reason: kept });
    else if (subjectOf(tag.name) === undefined) verdicts.set(tag, judgeByRules(rules, tag, versions, facts));
  }
  return verdicts;
}

/** Returns the rules that a tag falls under, or why it stays whatever they say. */
function rulesFor(
  tag: TagRecord,
  repository: string,
  { policy, inUse }: RetentionFacts,
  byDigest: ReadonlyMap<Digest, RetainedManifest>,
): { rules: readonly RetentionRule[]; kept?: string } {
  const rules = policy.retention.filter(
    (rule) => globMatcher(rule.repositories)(repository) && globMatcher(rule.tags)(tag.name),
  );
  if (rules.length === 0) return { rules, kept: 'no rule' };
  if (!tagProtection(policy, repository, tag.name).mayDelete) return { rules, kept: 'immutable' };
  const isNamed = isNameUsed(repository, tag.name, inUse);
  if (isNamed || isUsed(tag.digest, inUse, byDigest, new Set())) return { rules, kept: 'in use' };
  return { rules };
}

function judgeByRules(
  rules: readonly RetentionRule[],
  tag: TagRecord,
  versions: readonly TagRecord[],
  { now }: RetentionFacts,
): RetentionVerdict {
  for (const rule of rules) {
    const kept = keptBy(rule, tag, versions, now);
    if (kept !== undefined) return { keep: true, reason: kept };
  }
  return { keep: false, reason: 'no rule keeps it' };
}

function judgeAttached(subject: Digest | undefined, live: ReadonlySet<Digest>): RetentionVerdict {
  const keep = subject !== undefined && live.has(subject);
  return { keep, reason: `belongs to ${subject}, which ${keep ? 'stays' : 'goes'}` };
}

function keptBy(
  rule: RetentionRule,
  tag: TagRecord,
  tags: readonly TagRecord[],
  now: number,
): string | undefined {
  const { keepNewest, keepDays } = rule;
  if (keepNewest === undefined && keepDays === undefined) return 'the rule says neither number nor age';
  if (keepDays !== undefined && tag.updatedAt > now - keepDays * DAY_MS)
    return `pushed within ${keepDays} days`;
  if (keepNewest === undefined) return undefined;
  const matches = globMatcher(rule.tags);
  const newer = tags.filter((other) => isNewer(other, tag) && matches(other.name)).length;
  return newer < keepNewest ? `among the newest ${keepNewest}` : undefined;
}

/** Orders tags by time, then by name, so that two tags pushed at once do not both count as the newest. */
function isNewer(one: TagRecord, other: TagRecord): boolean {
  return one.updatedAt === other.updatedAt ? one.name > other.name : one.updatedAt > other.updatedAt;
}

/** A cluster may know a repository without the prefix that it has here, as with a cache. */
function isNameUsed(repository: string, tag: string, inUse: ReadonlySet<string>): boolean {
  for (let path = repository; ; path = path.slice(path.indexOf('/') + 1)) {
    if (inUse.has(`${path}:${tag}`)) return true;
    if (!path.includes('/')) return false;
  }
}

function isUsed(
  digest: Digest,
  inUse: ReadonlySet<string>,
  byDigest: ReadonlyMap<Digest, RetainedManifest>,
  seen: Set<Digest>,
): boolean {
  if (inUse.has(digest)) return true;
  if (seen.has(digest)) return false;
  seen.add(digest);
  return (byDigest.get(digest)?.children ?? []).some((child) => isUsed(child, inUse, byDigest, seen));
}

/** Returns what must stay because of what stays: children of indexes, and what belongs to a live subject. */
function liveFrom(
  content: RepositoryContent,
  facts: RetentionFacts,
  verdicts: ReadonlyMap<TagRecord, RetentionVerdict>,
  subjectOf: SubjectOf,
): ReadonlySet<Digest> {
  const { manifests } = content;
  const byDigest = new Map(manifests.map((manifest) => [manifest.digest, manifest]));
  const belonging = new Map<Digest, Digest[]>();
  const belongs = (subject: Digest | undefined, digest: Digest): void => {
    if (subject === undefined) return;
    const known = belonging.get(subject);
    if (known === undefined) belonging.set(subject, [digest]);
    else known.push(digest);
  };
  for (const { subject, digest } of manifests) belongs(subject, digest);
  for (const { name, digest } of content.tags) belongs(subjectOf(name), digest);
  const live = new Set<Digest>();
  const todo = content.tags.filter((tag) => verdicts.get(tag)?.keep === true).map(({ digest }) => digest);
  for (const manifest of manifests) {
    if (facts.inUse.has(manifest.digest) || keptByAge(manifest, facts) !== undefined)
      todo.push(manifest.digest);
  }
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (live.has(next)) continue;
    live.add(next);
    todo.push(...(byDigest.get(next)?.children ?? []), ...(belonging.get(next) ?? []));
  }
  return live;
}

function judgeManifest(
  manifest: RetainedManifest,
  live: ReadonlySet<Digest>,
  facts: RetentionFacts,
): RetentionVerdict {
  const kept = keptByAge(manifest, facts);
  if (kept !== undefined) return { keep: true, reason: kept };
  if (live.has(manifest.digest)) return { keep: true, reason: 'needed' };
  return { keep: false, reason: 'nothing needs it' };
}

/** Returns why a manifest stays although no tag needs it; undefined when it does not. */
function keptByAge(manifest: RetainedManifest, { policy, now }: RetentionFacts): string | undefined {
  const { untaggedDays } = policy;
  if (untaggedDays === undefined) return 'no rule';
  return manifest.renewedAt > now - untaggedDays * DAY_MS ? `pushed within ${untaggedDays} days` : undefined;
}
