import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { messageOf } from '../../base/coded-error.ts';

/** Bytes in a megabyte, in which sizes are given. */
const MEGABYTE = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Size at which a file is put aside when nothing else is said, in megabytes. */
const DEFAULT_MEGABYTES = 100;

export interface AuditFileOptions {
  /** `-` writes to standard output. */
  readonly path: string;
  /** Megabytes at which a file is put aside; 100 when absent or 0. */
  readonly maxSize?: number;
  /** Files put aside that are kept; all when absent or 0. */
  readonly maxBackups?: number;
  /** Days that files put aside are kept; for ever when absent or 0. */
  readonly maxAge?: number;
  readonly now: () => number;
  /** Told when something could not be written; the request goes on. */
  readonly onError: (error: unknown) => void;
}

/**
 * Writes lines to a file that is put aside when it is full. A line is with the system before the call returns: it
 * outlives this process, though not the machine.
 */
export class AuditFile {
  readonly #options: AuditFileOptions;
  #fd: number | undefined;
  #size = 0;

  constructor(options: AuditFileOptions) {
    this.#options = options;
    if (options.path !== '-') this.#open();
  }

  write(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    try {
      if (this.#options.path === '-') {
        writeSync(process.stdout.fd, bytes);
        return;
      }
      const { maxSize } = this.#options;
      const limit = (maxSize === undefined || maxSize === 0 ? DEFAULT_MEGABYTES : maxSize) * MEGABYTE;
      if (this.#size > 0 && this.#size + bytes.length > limit) this.#rotate();
      if (this.#fd === undefined) this.#open();
      if (this.#fd !== undefined) this.#size += writeSync(this.#fd, bytes);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** Only its owner reads who did what. */
  #open(): void {
    const { path } = this.#options;
    mkdirSync(dirname(path), { recursive: true });
    this.#fd = openSync(path, 'a', 0o600);
    this.#size = fstatSync(this.#fd).size;
  }

  #rotate(): void {
    const { path, now } = this.#options;
    this.close();
    const stamp = new Date(now()).toISOString().replaceAll(':', '-').replace('Z', '');
    const extension = extname(path);
    renameSync(path, `${path.slice(0, path.length - extension.length)}-${stamp}${extension}`);
    this.#open();
    try {
      this.#prune();
    } catch (error) {
      this.#options.onError(
        new Error(`Cannot remove old audit files: ${messageOf(error)}`, { cause: error }),
      );
    }
  }

  #prune(): void {
    const { path, maxBackups = 0, maxAge = 0, now } = this.#options;
    const extension = extname(path);
    const start = `${basename(path, extension)}-`;
    const aside = readdirSync(dirname(path))
      .filter(
        (name) =>
          name.startsWith(start) &&
          name.endsWith(extension) &&
          isStamp(name.slice(start.length, name.length - extension.length)),
      )
      .toSorted()
      .toReversed();
    aside.forEach((name, index) => {
      const made = Date.parse(stampTime(name.slice(start.length, name.length - extension.length)));
      const isOld = maxAge > 0 && now() - made > maxAge * DAY_MS;
      if (isOld || (maxBackups > 0 && index >= maxBackups))
        rmSync(join(dirname(path), name), { force: true });
    });
  }
}

const STAMP = /^(\d{4}-\d{2}-\d{2}T)(\d{2})-(\d{2})-(\d{2}\.\d{3})$/;

function isStamp(text: string): boolean {
  return STAMP.test(text);
}

function stampTime(text: string): string {
  return text.replace(STAMP, '$1$2:$3:$4Z');
}
