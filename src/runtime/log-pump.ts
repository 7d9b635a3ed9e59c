import { execFile } from 'node:child_process';
import { constants, mkdir, open, readFile, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { isSystemError } from '../base/coded-error.ts';
import { formatEntries, formatLogTime, MAX_ENTRY_BYTES, type LogStream } from './cri-log.ts';

/** Bytes read at once: a few entries of the longest kind. */
const CHUNK_BYTES = 8 * MAX_ENTRY_BYTES;

/** Consumed output is given back to the file system in steps of this size. */
const PUNCH_BYTES = 4 * 1024 * 1024;

const STREAMS: readonly LogStream[] = ['stdout', 'stderr'];

interface Position {
  /** Bytes of each raw file that are in the log. */
  stdout: number;
  stderr: number;
  /** Size of the log after they were written; what lies beyond was written but not accounted for. */
  logSize: number;
}

/**
 * Moves a container's raw output (`stdout` and `stderr` in its directory, appended by the process itself) into its CRI log file.
 * The position is kept in `position`, so that after a crash nothing is lost and nothing is written twice.
 * Consumed parts of the raw files are punched out; their sizes keep growing, their disk use does not.
 */
export class LogPump {
  readonly #directory: string;
  readonly #logPath: string;
  readonly #clock: Clock;
  #position: Position = { stdout: 0, stderr: 0, logSize: 0 };
  #punched = { stdout: 0, stderr: 0 };
  #log: FileHandle | undefined;
  #positionFile: FileHandle | undefined;
  #raw: Partial<Record<LogStream, FileHandle>> = {};
  #turn: Promise<void> = Promise.resolve();
  #queued = false;
  #closed = false;

  constructor(options: { directory: string; logPath: string; clock: Clock }) {
    this.#directory = options.directory;
    this.#logPath = options.logPath;
    this.#clock = options.clock;
  }

  /** Converts what is there. Calls that come while one is waiting join it. */
  pump(): Promise<void> {
    if (this.#queued || this.#closed) return this.#turn;
    this.#queued = true;
    return this.#enqueue(async () => {
      this.#queued = false;
      await this.#convert(false);
    });
  }

  /** Converts the rest, an unfinished last line included, closes everything and removes the raw files. */
  finish(): Promise<void> {
    return this.#enqueue(async () => {
      if (this.#closed) return;
      await this.#convert(true);
      await this.#close();
      for (const stream of STREAMS) await rm(join(this.#directory, stream), { force: true });
    });
  }

  /** Goes on in a new log file: the old one was renamed or removed. */
  reopen(): Promise<void> {
    return this.#enqueue(async () => {
      if (this.#closed) return;
      await this.#convert(false);
      await this.#log?.close();
      this.#log = undefined;
      this.#position.logSize = 0;
      await this.#openLog();
      await this.#savePosition();
    });
  }

  /** Stops without losing anything: another pump may go on later. */
  close(): Promise<void> {
    return this.#enqueue(() => this.#close());
  }

  #enqueue(task: () => Promise<void>): Promise<void> {
    const next = this.#turn.then(task, task);
    this.#turn = next;
    // The caller sees the failure; the chain itself goes on.
    next.catch(() => undefined);
    return next;
  }

  async #convert(final: boolean): Promise<void> {
    if (this.#closed) return;
    await this.#open();
    for (;;) {
      let moved = 0;
      for (const stream of STREAMS) moved += await this.#convertChunk(stream, final);
      if (moved === 0) return;
    }
  }

  async #convertChunk(stream: LogStream, final: boolean): Promise<number> {
    const raw = this.#raw[stream];
    const log = this.#log;
    if (raw === undefined || log === undefined) return 0;
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    const { bytesRead } = await raw.read(buffer, 0, CHUNK_BYTES, this.#position[stream]);
    if (bytesRead === 0) return 0;
    const atEnd = final && bytesRead < CHUNK_BYTES;
    const time = formatLogTime(this.#clock.now());
    const { entries, consumed } = formatEntries(buffer.subarray(0, bytesRead), stream, time, atEnd);
    if (consumed === 0) return 0;
    const data = Buffer.concat(entries);
    await log.appendFile(data);
    this.#position[stream] += consumed;
    this.#position.logSize += data.length;
    await this.#savePosition();
    await this.#punch(stream);
    return consumed;
  }

  async #punch(stream: LogStream): Promise<void> {
    const upTo = this.#position[stream];
    if (upTo - this.#punched[stream] < PUNCH_BYTES) return;
    this.#punched[stream] = upTo;
    const args = ['--punch-hole', '--offset', '0', '--length', String(upTo), join(this.#directory, stream)];
    // Without the tool, or on a file system that cannot do it, the raw file merely stays until the container ends.
    await new Promise<void>((resolve) => execFile('fallocate', args, () => resolve()));
  }

  async #open(): Promise<void> {
    for (const stream of STREAMS) {
      if (this.#raw[stream] !== undefined) continue;
      try {
        this.#raw[stream] = await open(join(this.#directory, stream), 'r');
      } catch (error) {
        if (!isSystemError(error, 'ENOENT')) throw error;
      }
    }
    if (this.#log === undefined) {
      this.#position = await this.#loadPosition();
      await this.#openLog();
    }
  }

  async #openLog(): Promise<void> {
    await mkdir(dirname(this.#logPath), { recursive: true, mode: 0o755 });
    const log = await open(this.#logPath, 'a', 0o640);
    const { size } = await log.stat();
    // Beyond the recorded size lie entries whose output is still in the raw file: they will be written again.
    if (size > this.#position.logSize) await log.truncate(this.#position.logSize);
    else this.#position.logSize = size;
    this.#log = log;
  }

  async #loadPosition(): Promise<Position> {
    const none = { stdout: 0, stderr: 0, logSize: 0 };
    let text: string;
    try {
      text = await readFile(join(this.#directory, 'position'), 'utf8');
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return none;
      throw error;
    }
    const [stdout, stderr, logSize] = text.trim().split(/ +/).map(Number);
    if (stdout === undefined || stderr === undefined || logSize === undefined) return none;
    return { stdout, stderr, logSize };
  }

  /** One write of fixed length: a killed process leaves the old numbers or the new. */
  async #savePosition(): Promise<void> {
    const file = (this.#positionFile ??= await openInPlace(join(this.#directory, 'position')));
    const { stdout, stderr, logSize } = this.#position;
    const line = [stdout, stderr, logSize].map((number) => String(number).padStart(16)).join(' ');
    await file.write(`${line}\n`, 0);
  }

  async #close(): Promise<void> {
    this.#closed = true;
    const files = [this.#log, this.#positionFile, ...Object.values(this.#raw)];
    this.#log = undefined;
    this.#positionFile = undefined;
    this.#raw = {};
    for (const file of files) await file?.close();
  }
}

/** Opens for writing at any place without cutting the file; makes it when there is none. */
async function openInPlace(path: string): Promise<FileHandle> {
  return await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
}
