import { watch, type FSWatcher } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { isSystemError } from '../../base/coded-error.ts';
import { parseTime } from '../../kube/time.ts';
import { parseEntry } from '../../runtime/cri-log.ts';
import type { LogOptions } from './log-options.ts';

/** Bytes read at once. */
const CHUNK_BYTES = 64 * 1024;

/** Longest wait for news of a log: notifications can be lost, and the container may end without a last word. */
const LOOK_MS = 1000;

const NEWLINE = 0x0a;
const newline = Buffer.from('\n');

/**
 * Yields the text of a container's log as its process wrote it, chosen by `options`. With `follow` it goes on, over rotations, until
 * `isRunning` says no and everything is read, or the signal aborts.
 */
export async function* readLog(
  path: string,
  options: LogOptions,
  isRunning: () => Promise<boolean>,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const writer = new EntryPrinter(options);
  let file = await openLog(path);
  if (file === undefined) {
    if (!options.follow) return;
    file = await waitForLog(path, isRunning, signal);
    if (file === undefined) return;
  }
  try {
    let position = options.tailLines === undefined ? 0 : await tailStart(file, options.tailLines);
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      if (signal.aborted) return;
      // Asked before reading: what a container wrote before it ended is in the file by then.
      const running = options.follow && (await isRunning());
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, position);
      if (bytesRead > 0) {
        position += bytesRead;
        const { lines, rest: left } = splitLines(Buffer.concat([rest, buffer.subarray(0, bytesRead)]));
        rest = left;
        const text = writer.print(lines);
        if (text.length > 0) yield text;
        if (writer.full) return;
        continue;
      }
      if (!options.follow) return;
      const next = await nextAfterRotation(path, file);
      if (next !== undefined) {
        await file.close();
        file = next;
        position = 0;
        continue;
      }
      if (!running) return;
      await changeOrTimeout(path, signal);
    }
  } finally {
    await file.close();
  }
}

/** Prints entries as `kubectl logs` shows them, within the limits asked for. */
class EntryPrinter {
  readonly #options: LogOptions;
  #left: number;
  #lineStart = true;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#left = options.limitBytes ?? Infinity;
  }

  get full(): boolean {
    return this.#left <= 0;
  }

  print(lines: readonly Buffer[]): Buffer {
    const parts: Buffer[] = [];
    for (const line of lines) {
      const entry = parseEntry(line);
      if (entry === undefined || !this.#options.streams.has(entry.stream)) continue;
      if (this.#options.since !== undefined) {
        const time = parseTime(entry.time);
        if (time === undefined || time < this.#options.since) continue;
      }
      if (this.#options.timestamps && this.#lineStart) this.#push(parts, Buffer.from(`${entry.time} `));
      this.#push(parts, entry.text);
      if (!entry.partial) this.#push(parts, newline);
      this.#lineStart = !entry.partial;
      if (this.full) break;
    }
    return Buffer.concat(parts);
  }

  #push(parts: Buffer[], bytes: Buffer): void {
    const kept = bytes.subarray(0, Math.min(bytes.length, this.#left));
    this.#left -= kept.length;
    if (kept.length > 0) parts.push(kept);
  }
}

function splitLines(data: Buffer): { lines: Buffer[]; rest: Buffer } {
  const lines: Buffer[] = [];
  let start = 0;
  for (;;) {
    const end = data.indexOf(NEWLINE, start);
    if (end < 0) return { lines, rest: data.subarray(start) };
    lines.push(data.subarray(start, end));
    start = end + 1;
  }
}

/** Finds where the last `count` lines of a file begin, reading backwards. */
async function tailStart(file: FileHandle, count: number): Promise<number> {
  const { size } = await file.stat();
  if (count === 0) return size;
  let seen = 0;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - CHUNK_BYTES);
    const buffer = Buffer.alloc(end - start);
    await file.read(buffer, 0, buffer.length, start);
    for (let at = buffer.length - 1; at >= 0; at--) {
      if (buffer[at] !== NEWLINE) continue;
      // The newline at the very end closes the last line, it does not begin another.
      if (start + at === size - 1) continue;
      if (++seen === count) return start + at + 1;
    }
    end = start;
  }
  return 0;
}

async function openLog(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function waitForLog(
  path: string,
  isRunning: () => Promise<boolean>,
  signal: AbortSignal,
): Promise<FileHandle | undefined> {
  while (!signal.aborted) {
    const running = await isRunning();
    const file = await openLog(path);
    if (file !== undefined || !running) return file;
    await changeOrTimeout(path, signal);
  }
  return undefined;
}

/** Returns the file that is now at `path` when it is not the one that is open. */
async function nextAfterRotation(path: string, current: FileHandle): Promise<FileHandle | undefined> {
  const next = await openLog(path);
  if (next === undefined) return undefined;
  const [now, then] = await Promise.all([next.stat(), current.stat()]);
  if (now.ino !== then.ino || now.dev !== then.dev) return next;
  await next.close();
  return undefined;
}

async function changeOrTimeout(path: string, signal: AbortSignal): Promise<void> {
  const news = Promise.withResolvers<void>();
  const wake = (): void => news.resolve();
  const timer = setTimeout(wake, LOOK_MS);
  signal.addEventListener('abort', wake, { once: true });
  let watcher: FSWatcher | undefined;
  try {
    watcher = watchDirectory(path, wake);
    await news.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', wake);
    watcher?.close();
  }
}

/** Without notifications, or without the directory yet, the timer is what wakes. */
function watchDirectory(path: string, wake: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(dirname(path), (_event, name) => {
      if (name === basename(path)) wake();
    });
    watcher.on('error', wake);
    return watcher;
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}
