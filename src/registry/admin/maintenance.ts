import { randomUUID } from 'node:crypto';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import type { FileStore } from '../../content/file-store.ts';
import type { Logger } from '../../observe/logger.ts';
import { Collector, type CollectionReport } from '../collect/collector.ts';
import { retain, type RetiredItem } from '../collect/retain.ts';
import { scrub, type ScrubReport } from '../collect/scrub.ts';
import type { RegistryMetrics } from '../http/registry-metrics.ts';
import { LONGEST_LEASE_MS } from '../metadata/collection-index.ts';
import type { Metadata } from '../metadata/metadata.ts';
import { openSqliteMetadata } from '../metadata/sqlite-metadata.ts';
import type { UploadSessions } from '../upload-sessions.ts';
import { AdminError } from './admin-error.ts';
import { backupRegistry, type BackupReport } from './backup.ts';

/** How long what nothing needs is kept: longer than the longest push. */
export const COLLECT_DELAY_MS = 24 * 3_600_000;
/** Least delay: bytes are committed and linked well within it, whatever somebody asks for. */
const LEAST_DELAY_MS = 60_000;
/** How long an upload may take; S3 gives its parts a week too. */
const UPLOAD_AGE_MS = 7 * 24 * 3_600_000;
const COLLECT_EVERY_MS = 6 * 3_600_000;
const AUDIT_KEEP_MS = 365 * 24 * 3_600_000;

export interface MaintenanceOptions {
  /** Milliseconds between two collections; 0 for none but those that are asked for. 6 hours by default. */
  readonly everyMs?: number;
  /** Milliseconds that unneeded content is kept: a day by default. */
  readonly delayMs?: number;
  /** Milliseconds after which an unfinished upload is thrown away: a week by default. */
  readonly uploadAgeMs?: number;
  /** Milliseconds that audit entries are kept: a year by default. */
  readonly auditKeepMs?: number;
  /** Digests and `path:tag` names that clusters use now, which retention leaves alone. Nothing goes when it throws. */
  readonly inUse?: (signal: AbortSignal) => Promise<ReadonlySet<string>>;
}

export interface MaintenanceParts {
  readonly store: FileStore;
  readonly metadata: Metadata;
  readonly uploads: UploadSessions;
  readonly metrics: RegistryMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where damaged bytes are put. */
  readonly quarantineDirectory: string;
}

/** Keeps a registry clean while it serves: collection, retention, scrub, backup. */
export class Maintenance {
  readonly #parts: MaintenanceParts;
  readonly #options: MaintenanceOptions;
  readonly #collector: Collector;

  constructor(parts: MaintenanceParts, options: MaintenanceOptions) {
    this.#parts = parts;
    this.#options = options;
    const { store, metadata, uploads, clock } = parts;
    this.#collector = new Collector({
      store,
      index: metadata.collection,
      leases: metadata.leases,
      uploadIndex: metadata.uploads,
      uploads,
      clock,
    });
  }

  /** Frees what nothing needs. @param options `delayMs` in place of the configured delay */
  async collect(signal: AbortSignal, options: { delayMs?: number } = {}): Promise<CollectionReport> {
    const report = await this.#collector.collect({
      delayMs: Math.max(options.delayMs ?? this.#delayMs, LEAST_DELAY_MS),
      uploadAgeMs: this.#options.uploadAgeMs ?? UPLOAD_AGE_MS,
      signal,
    });
    this.#parts.metrics.collected(report.freedBytes);
    return report;
  }

  /** Says what {@link collect} would free now. */
  previewCollection(signal: AbortSignal, options: { delayMs?: number } = {}): Promise<CollectionReport> {
    const delayMs = Math.max(options.delayMs ?? this.#delayMs, LEAST_DELAY_MS);
    return this.#collector.preview({ delayMs, signal });
  }

  /** Applies retention rules of all projects or of one; `dryRun` says what would go. */
  async retain(signal: AbortSignal, options: { dryRun: boolean; project?: string }): Promise<RetiredItem[]> {
    const { metadata, clock } = this.#parts;
    const inUse = this.#options.inUse ?? (async () => new Set<string>());
    const parts = { index: metadata.retention, projects: metadata.projects, clock, inUse };
    return retain({ ...parts, retired: (item) => this.#auditRetired(item) }, { ...options, signal });
  }

  #auditRetired({ repository, name, kind, reason }: RetiredItem): Promise<void> {
    const { metadata, clock } = this.#parts;
    const target = kind === 'tag' ? `${repository}:${name}` : `${repository}@${name}`;
    return metadata.audit.record({
      at: clock.now(),
      account: 'retention',
      address: '',
      action: `${kind}.delete`,
      target,
      outcome: 'done',
      detail: reason,
      request: '',
    });
  }

  /** Checks every blob, puts damaged ones into quarantine and forgets them, so that they are pushed again. */
  scrub(signal: AbortSignal): Promise<ScrubReport> {
    const { store, metadata, clock } = this.#parts;
    return scrub(
      {
        store,
        index: metadata.collection,
        now: () => clock.now(),
        orphansBefore: clock.now() - this.#delayMs,
        quarantine: async (digest) => {
          const directory = this.#parts.quarantineDirectory;
          await mkdir(directory, { recursive: true, mode: 0o700 });
          const target = join(directory, `${digest.replace(':', '-')}.${clock.now()}`);
          await rename(store.pathOf(digest), target).catch((error: unknown) => {
            // Removed or replaced by a push meanwhile.
            if (!isSystemError(error, 'ENOENT')) throw error;
          });
        },
      },
      signal,
    );
  }

  /** Copies the registry to a directory while it serves. @throws AdminError `BUSY` while it is being collected */
  backup(directory: string, signal: AbortSignal): Promise<BackupReport> {
    const { store, metadata } = this.#parts;
    const holder = randomUUID();
    return backupRegistry(
      {
        store,
        snapshot: async (path) => {
          await metadata.snapshot(path);
          const copy = openSqliteMetadata(path, this.#parts.clock);
          return { index: copy.collection, close: () => copy.close() };
        },
        withoutCollection: async (task) => {
          if (!(await metadata.leases.acquireLease('collect', holder, LONGEST_LEASE_MS))) {
            throw new AdminError('BUSY', 'Cannot back up the registry: it is being collected, try again');
          }
          try {
            return await task();
          } finally {
            await metadata.leases.releaseLease('collect', holder);
          }
        },
      },
      directory,
      signal,
    );
  }

  /** Ends what a crash cut short; called before the registry serves. */
  recover(): Promise<void> {
    return this.#collector.recover();
  }

  /** Collects, retains and prunes from time to time until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const every = this.#options.everyMs ?? COLLECT_EVERY_MS;
    if (every === 0) return;
    const { clock, logger } = this.#parts;
    while (!signal.aborted) {
      try {
        await clock.sleep(every, signal);
        const retired = await this.retain(signal, { dryRun: false });
        const report = await this.collect(signal);
        await this.#prune();
        logger.info({ ...report, retired: retired.length }, 'maintenance');
      } catch (error) {
        if (!signal.aborted) logger.error({ reason: messageOf(error) }, 'maintenance failed');
      }
    }
  }

  get #delayMs(): number {
    return this.#options.delayMs ?? COLLECT_DELAY_MS;
  }

  async #prune(): Promise<void> {
    const { metadata, clock } = this.#parts;
    await metadata.audit.prune(clock.now() - (this.#options.auditKeepMs ?? AUDIT_KEEP_MS));
    await metadata.tokens.removeExpiredRefreshTokens();
  }
}
