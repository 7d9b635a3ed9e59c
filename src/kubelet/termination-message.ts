import { open } from 'node:fs/promises';
import { isSystemError } from '../base/coded-error.ts';
import { LruMap } from '../base/lru-map.ts';
import { parseEntry } from '../runtime/cri-log.ts';
import type { ContainerStatus } from '../runtime/runtime-service.ts';
import type { PodPaths } from './pod-paths.ts';
import { recordedTerminationPolicy } from './runtime-labels.ts';
import { POD_UID } from './runtime-labels.ts';

/** Bytes of a termination message that are kept, and of log taken in its place. The kubelet's values. */
const MAX_MESSAGE_BYTES = 4096;
const MAX_LOG_BYTES = 2048;
const MAX_LOG_LINES = 80;

/** Bytes before the text of a line: time, stream, tag. */
const LINE_HEAD_BYTES = 64;

/** Messages remembered; reading one again is cheap. */
const MAX_CACHED = 1000;

/** Reads the last words of ended containers. */
export class TerminationMessages {
  readonly #paths: PodPaths;
  readonly #messages = new LruMap<string, string>(MAX_CACHED);

  constructor(paths: PodPaths) {
    this.#paths = paths;
  }

  /** Returns a message read before. */
  get(status: ContainerStatus): string {
    return this.#messages.get(status.id) ?? '';
  }

  /** Reads the messages of all ended containers among `statuses` that are not known yet. */
  async read(statuses: Iterable<ContainerStatus>): Promise<void> {
    for (const status of statuses) {
      if (status.state !== 'exited' || this.#messages.has(status.id)) continue;
      const file = this.#paths.terminationLog(status.labels[POD_UID] ?? '', status.name, status.attempt);
      let message = await head(file, MAX_MESSAGE_BYTES);
      const policy = recordedTerminationPolicy(status.annotations);
      if (message === '' && policy === 'FallbackToLogsOnError' && status.exitCode !== 0) {
        message = logTail(await tail(status.logPath, MAX_LOG_BYTES + MAX_LOG_LINES * LINE_HEAD_BYTES));
      }
      this.#messages.set(status.id, message);
    }
  }
}

async function head(path: string, bytes: number): Promise<string> {
  return await readPart(path, (size) => ({ from: 0, length: Math.min(size, bytes) }));
}

async function tail(path: string, bytes: number): Promise<string> {
  return await readPart(path, (size) => ({ from: Math.max(0, size - bytes), length: Math.min(size, bytes) }));
}

async function readPart(
  path: string,
  part: (size: number) => { from: number; length: number },
): Promise<string> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
  }
  try {
    const { from, length } = part((await file.stat()).size);
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await file.read(buffer, 0, length, from);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

function logTail(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => parseEntry(Buffer.from(line)))
    .filter((entry) => entry !== undefined)
    .slice(-MAX_LOG_LINES)
    .map(({ text: words, partial }) => (partial ? words.toString() : `${words.toString()}\n`))
    .join('');
  return Buffer.from(lines).subarray(-MAX_LOG_BYTES).toString();
}
