import type { Clock } from '../../base/clock.ts';
import type { ProjectIndex } from '../metadata/identity-index.ts';
import type { RetentionIndex } from '../metadata/collection-index.ts';
import { tagProtection } from '../policy.ts';
import { decideRetention } from './retention.ts';

/** One thing that retention removed, or would remove. */
export interface RetiredItem {
  readonly repository: string;
  /** Tag or digest. */
  readonly name: string;
  readonly kind: 'tag' | 'manifest';
  readonly reason: string;
}

export interface RetainParts {
  readonly index: RetentionIndex;
  readonly projects: Pick<ProjectIndex, 'listProjects'>;
  readonly clock: Clock;
  /** Digests and `path:tag` names that clusters use now. */
  readonly inUse: (signal: AbortSignal) => Promise<ReadonlySet<string>>;
  /** Told of everything that was removed, once it was; of nothing in a dry run. */
  readonly retired: (item: RetiredItem) => Promise<void>;
}

/**
 * Applies the projects' retention rules, or with `dryRun` says what they would remove. What was pushed, tagged or asked for
 * meanwhile stays.
 *
 * @param options `project`: only this one
 */
export async function retain(
  parts: RetainParts,
  options: { dryRun: boolean; signal: AbortSignal; project?: string },
): Promise<RetiredItem[]> {
  const { index, clock } = parts;
  const inUse = await parts.inUse(options.signal);
  const retired: RetiredItem[] = [];
  const note = async (item: RetiredItem): Promise<void> => {
    retired.push(item);
    if (!options.dryRun) await parts.retired(item);
  };
  for (const { name, policy } of await parts.projects.listProjects()) {
    if (options.project !== undefined && options.project !== name) continue;
    if (policy.retention.length === 0 && policy.untaggedDays === undefined) continue;
    for (const repository of await index.repositoriesOf(name)) {
      options.signal.throwIfAborted();
      const content = {
        repository,
        tags: await index.tagsOf(repository),
        manifests: await index.manifestsOf(repository),
      };
      const decision = decideRetention(content, { policy, inUse, now: clock.now() });
      for (const { tag, keep, reason } of decision.tags) {
        if (keep) continue;
        const protection = tagProtection(policy, repository, tag.name);
        if (!options.dryRun && !(await index.retireTag(repository, tag, protection))) continue;
        await note({ repository, name: tag.name, kind: 'tag', reason });
      }
      for (const { manifest, keep, reason } of parentsFirst(decision.manifests)) {
        if (keep || !(options.dryRun || (await index.retireManifest(repository, manifest)))) continue;
        await note({ repository, name: manifest.digest, kind: 'manifest', reason });
      }
    }
  }
  return retired;
}

/** Orders manifests so that an index goes before its children, which cannot go while it is there. */
function parentsFirst<T extends { manifest: { digest: string; children: readonly string[] } }>(
  verdicts: T[],
): T[] {
  const byDigest = new Map(verdicts.map((verdict) => [verdict.manifest.digest, verdict]));
  const ordered: T[] = [];
  const seen = new Set<T>();
  const visit = (verdict: T): void => {
    if (seen.has(verdict)) return;
    seen.add(verdict);
    for (const child of verdict.manifest.children) {
      const found = byDigest.get(child);
      if (found !== undefined) visit(found);
    }
    ordered.push(verdict);
  };
  for (const verdict of verdicts) visit(verdict);
  return ordered.reverse();
}
