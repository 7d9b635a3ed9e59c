import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Clock } from '../base/clock.ts';
import { isSystemError, messageOf } from '../base/coded-error.ts';
import type { Logger } from '../observe/logger.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';

/** The kubelet's defaults: `containerLogMaxSize`, `containerLogMaxFiles`, `containerLogMonitorInterval`. */
const MAX_SIZE_BYTES = 10 * 1024 * 1024;
const MAX_FILES = 5;
const INTERVAL_MS = 10_000;

/** Keeps containers' logs from filling the disk: a full one is set aside, older ones are compressed, the oldest removed. */
export class LogRotation {
  readonly #runtime: RuntimeService;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #maxSize: number;
  readonly #maxFiles: number;

  constructor(options: {
    runtime: RuntimeService;
    clock: Clock;
    logger: Logger;
    maxSizeBytes?: number;
    maxFiles?: number;
  }) {
    this.#runtime = options.runtime;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#maxSize = options.maxSizeBytes ?? MAX_SIZE_BYTES;
    this.#maxFiles = options.maxFiles ?? MAX_FILES;
  }

  /** Looks every ten seconds until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(INTERVAL_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.rotate(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#logger.error({ error: messageOf(error) }, 'cannot rotate logs');
      });
    }
  }

  /** Rotates every log that has grown too large. */
  async rotate(signal: AbortSignal): Promise<void> {
    for (const container of await this.#runtime.listContainers({}, signal)) {
      if (container.state !== 'running') continue;
      const size = await sizeOf(container.logPath);
      if (size < this.#maxSize) continue;
      await this.#compressOld(container.logPath);
      await rename(container.logPath, `${container.logPath}.${stamp(this.#clock.now())}`);
      await this.#runtime.reopenContainerLog(container.id, signal);
    }
  }

  /** Makes room for one more and compresses all that nobody reads any more: all but the newest. */
  async #compressOld(logPath: string): Promise<void> {
    const directory = dirname(logPath);
    const prefix = `${basename(logPath)}.`;
    const names = (await readdir(directory)).filter((name) => name.startsWith(prefix)).sort();
    for (const name of names.filter((candidate) => candidate.endsWith('.tmp'))) {
      await rm(join(directory, name), { force: true });
    }
    const rotated = names.filter((name) => !name.endsWith('.tmp'));
    // The current log and the one about to be set aside count too.
    const excess = rotated.splice(0, Math.max(0, rotated.length - (this.#maxFiles - 2)));
    for (const name of excess) await rm(join(directory, name), { force: true });
    for (const name of rotated) {
      if (!name.endsWith('.gz')) await compress(join(directory, name));
    }
  }
}

async function compress(path: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await pipeline(createReadStream(path), createGzip(), createWriteStream(temporary, { mode: 0o640 }));
  await rename(temporary, `${path}.gz`);
  await rm(path, { force: true });
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return 0;
    throw error;
  }
}

function stamp(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
}
