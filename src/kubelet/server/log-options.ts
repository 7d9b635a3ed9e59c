import { parseTime } from '../../kube/time.ts';

export interface LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number;
  readonly limitBytes?: number;
  /** Milliseconds since the epoch. */
  readonly since?: number;
  readonly streams: ReadonlySet<'stdout' | 'stderr'>;
}

/** Reads the parameters of a log request; a text says what is wrong with them. */
export function parseLogOptions(query: URLSearchParams, now: number): LogOptions | string {
  const flag = (name: string): boolean => query.get(name) === 'true' || query.get(name) === '1';
  const number = (name: string): number | undefined | string => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    return /^\d+$/.test(text) ? Number(text) : `invalid ${name}: ${JSON.stringify(text)}`;
  };
  const tailLines = number('tailLines');
  const limitBytes = number('limitBytes');
  const sinceSeconds = number('sinceSeconds');
  for (const value of [tailLines, limitBytes, sinceSeconds]) if (typeof value === 'string') return value;
  const sinceTime = query.get('sinceTime');
  let since: number | undefined;
  if (sinceTime !== null && sinceTime !== '') {
    since = parseTime(sinceTime);
    if (since === undefined) return `invalid sinceTime: ${JSON.stringify(sinceTime)}`;
  } else if (typeof sinceSeconds === 'number') since = now - sinceSeconds * 1000;
  return {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    ...(typeof tailLines === 'number' ? { tailLines } : {}),
    ...(typeof limitBytes === 'number' ? { limitBytes } : {}),
    ...(since === undefined ? {} : { since }),
    streams: streamsOf(query.get('stream')),
  };
}

function streamsOf(text: string | null): ReadonlySet<'stdout' | 'stderr'> {
  if (text === 'Stdout') return new Set(['stdout']);
  if (text === 'Stderr') return new Set(['stderr']);
  return new Set(['stdout', 'stderr']);
}
