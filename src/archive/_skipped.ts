import { closeSync, openSync, writeSync } from 'node:fs';

/** Bytes of records gathered before they are written. */
const RECORD_BUFFER = 64 * 1024;

/** Counts what could not be applied and, where a file is named, records each thing as a JSON line. */
export class Skipped {
  readonly #path: string | undefined;
  readonly #counts: Record<string, number> = Object.create(null) as Record<string, number>;
  #fd: number | undefined;
  #lines: string[] = [];
  #length = 0;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  get counts(): Readonly<Record<string, number>> {
    return { ...this.#counts };
  }

  /** @param path byte path; written as base64 when it is not ASCII, so that nothing is lost in JSON */
  add(kind: 'owner' | 'device' | 'xattr', path: string, facts: Readonly<Record<string, unknown>>): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
    if (this.#path === undefined) return;
    const name = /[^\x20-\x7e]/.test(path)
      ? { pathBase64: Buffer.from(path, 'latin1').toString('base64') }
      : { path };
    const line = `${JSON.stringify({ kind, ...name, ...facts })}\n`;
    this.#lines.push(line);
    this.#length += line.length;
    if (this.#length >= RECORD_BUFFER) this.#write();
  }

  close(): void {
    if (this.#length > 0) this.#write();
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #write(): void {
    if (this.#path === undefined) return;
    this.#fd ??= openSync(this.#path, 'a', 0o600);
    writeSync(this.#fd, this.#lines.join(''));
    this.#lines = [];
    this.#length = 0;
  }
}
