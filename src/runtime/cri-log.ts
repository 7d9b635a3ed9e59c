/*
 * The log format of CRI: one line per line of output,
 *
 *     2026-01-02T03:04:05.000000000Z stdout F text
 *
 * with `P` instead of `F` for a part of a line that goes on in the next entry of the same stream.
 */

/** Longest piece of output in one entry: longer lines are cut into `P` entries, as CRI runtimes do. */
export const MAX_ENTRY_BYTES = 16 * 1024;

export type LogStream = 'stdout' | 'stderr';

const NEWLINE = 0x0a;

/** Prints milliseconds as RFC 3339 with nine digits, the form whose text order is time order. */
export function formatLogTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000000Z`;
}

/**
 * Turns raw output into log entries. Returns them and how many bytes of `raw` they cover: an unfinished line at the end waits
 * for its rest unless `final`.
 */
export function formatEntries(
  raw: Buffer,
  stream: LogStream,
  time: string,
  final: boolean,
): { entries: Buffer[]; consumed: number } {
  const full = Buffer.from(`${time} ${stream} F `);
  const partial = Buffer.from(`${time} ${stream} P `);
  const newline = Buffer.from('\n');
  const entries: Buffer[] = [];
  let start = 0;
  while (start < raw.length) {
    const end = raw.indexOf(NEWLINE, start);
    if (end >= 0 && end - start <= MAX_ENTRY_BYTES) {
      entries.push(full, raw.subarray(start, end + 1));
      start = end + 1;
    } else if (raw.length - start > MAX_ENTRY_BYTES) {
      entries.push(partial, raw.subarray(start, start + MAX_ENTRY_BYTES), newline);
      start += MAX_ENTRY_BYTES;
    } else if (final) {
      entries.push(full, raw.subarray(start), newline);
      start = raw.length;
    } else break;
  }
  return { entries, consumed: start };
}

/** One entry read back. `time` is as written; `text` has no newline. */
export interface LogEntry {
  readonly time: string;
  readonly stream: LogStream;
  readonly partial: boolean;
  readonly text: Buffer;
}

/** Reads one entry (without its newline); undefined when the line is not one. */
export function parseEntry(line: Buffer): LogEntry | undefined {
  const timeEnd = line.indexOf(0x20);
  if (timeEnd <= 0) return undefined;
  const streamEnd = line.indexOf(0x20, timeEnd + 1);
  if (streamEnd < 0) return undefined;
  const stream = line.toString('latin1', timeEnd + 1, streamEnd);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const tagEnd = line.indexOf(0x20, streamEnd + 1);
  if (tagEnd < 0) return undefined;
  // More tags may follow the first after colons in the future.
  const tag = line.toString('latin1', streamEnd + 1, tagEnd).split(':')[0];
  if (tag !== 'F' && tag !== 'P') return undefined;
  return {
    time: line.toString('latin1', 0, timeEnd),
    stream,
    partial: tag === 'P',
    text: line.subarray(tagEnd + 1),
  };
}
