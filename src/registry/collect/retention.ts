import type { Digest } from '../../oci/digest.ts';
import { globMatcher } from '../glob.ts';
import type { RetainedManifest, TagRecord } from '../metadata/collection-index.ts';
import { tagProtection, type Policy, type RetentionRule } from '../policy.ts';

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
 * Decides what of a repository stays. Nothing goes that a cluster uses, that an index which stays needs, that refers to a
 * subject which stays, or that a policy fixes.
 */
export function decideRetention(
  content: RepositoryContent,
  facts: RetentionFacts,
): { tags: TagVerdict[]; manifests: ManifestVerdict[] } {
  const byDigest = new Map(content.manifests.map((manifest) => [manifest.digest, manifest]));
  const tags = content.tags.map((tag) => ({ tag, ...judgeTag(tag, content, facts, byDigest) }));
  const rooted = new Set(tags.filter(({ keep }) => keep).map(({ tag }) => tag.digest));
  const live = liveFrom(rooted, content.manifests, facts.inUse);
  const manifests = content.manifests.map((manifest) => ({
    manifest,
    ...judgeManifest(manifest, live, facts),
  }));
  return { tags, manifests };
}

function judgeTag(
  tag: TagRecord,
  content: RepositoryContent,
  { policy, inUse, now }: RetentionFacts,
  byDigest: ReadonlyMap<Digest, RetainedManifest>,
): RetentionVerdict {
  const rules = policy.retention.filter(
    (rule) => globMatcher(rule.repositories)(content.repository) && globMatcher(rule.tags)(tag.name),
  );
  if (rules.length === 0) return { keep: true, reason: 'no rule' };
  if (!tagProtection(policy, content.repository, tag.name).mayDelete)
    return { keep: true, reason: 'immutable' };
  const isNamed = isNameUsed(content.repository, tag.name, inUse);
  if (isNamed || isUsed(tag.digest, inUse, byDigest, new Set())) return { keep: true, reason: 'in use' };
  for (const rule of rules) {
    const kept = keptBy(rule, tag, content.tags, now);
    if (kept !== undefined) return { keep: true, reason: kept };
  }
  return { keep: false, reason: 'no rule keeps it' };
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

/** Returns what must stay because of what stays: children of indexes, and what refers to a live subject. */
function liveFrom(
  roots: ReadonlySet<Digest>,
  manifests: readonly RetainedManifest[],
  inUse: ReadonlySet<string>,
): ReadonlySet<Digest> {
  const byDigest = new Map(manifests.map((manifest) => [manifest.digest, manifest]));
  const referrers = new Map<Digest, Digest[]>();
  for (const { subject, digest } of manifests) {
    if (subject !== undefined) referrers.set(subject, [...(referrers.get(subject) ?? []), digest]);
  }
  const live = new Set<Digest>();
  const todo = [...roots, ...manifests.filter(({ digest }) => inUse.has(digest)).map(({ digest }) => digest)];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (live.has(next)) continue;
    live.add(next);
    todo.push(...(byDigest.get(next)?.children ?? []), ...(referrers.get(next) ?? []));
  }
  return live;
}

function judgeManifest(
  manifest: RetainedManifest,
  live: ReadonlySet<Digest>,
  { policy, now }: RetentionFacts,
): RetentionVerdict {
  const { untaggedDays } = policy;
  if (untaggedDays === undefined) return { keep: true, reason: 'no rule' };
  if (live.has(manifest.digest)) return { keep: true, reason: 'needed' };
  if (manifest.renewedAt > now - untaggedDays * DAY_MS) {
    return { keep: true, reason: `pushed within ${untaggedDays} days` };
  }
  return { keep: false, reason: 'nothing needs it' };
}
