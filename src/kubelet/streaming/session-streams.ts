import type { Readable, Writable } from 'node:stream';

/** Which streams somebody wants of a session, and whether a terminal. */
export interface SessionRequest {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** The far end of a session, however it is connected. */
export interface SessionStreams {
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  /** Calls back with each size that the far end's window takes, and with the one it has. */
  onResize(resized: (columns: number, rows: number) => void): void;
  /** Tells how the session ended, then closes the connection. */
  finish(end: SessionEnd): Promise<void>;
  /** Resolves when the far end has gone away. */
  readonly gone: Promise<void>;
}

export type SessionEnd =
  | { readonly kind: 'success' }
  | { readonly kind: 'exit'; readonly code: number; readonly command: readonly string[] }
  | { readonly kind: 'error'; readonly message: string };

/** Reads a size of a terminal: `{"Width":80,"Height":24}`. Anything else is no size. */
export function parseSize(value: unknown): { columns: number; rows: number } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { Width: columns, Height: rows } = value as Record<string, unknown>;
  const fits = (size: unknown): size is number =>
    Number.isInteger(size) && Number(size) > 0 && Number(size) < 65_536;
  return fits(columns) && fits(rows) ? { columns, rows } : undefined;
}
