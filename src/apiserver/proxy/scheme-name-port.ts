/** What the name in the path of a proxy says: `[https:]NAME[:PORT]`. */
export interface SchemeNamePort {
  readonly scheme: 'http' | 'https';
  readonly name: string;
  /** A number or a port's name; `''` when none is given. */
  readonly port: string;
}

/** Reads the name of what a request is to be passed on to; `undefined` when it is none. */
export function parseSchemeNamePort(text: string): SchemeNamePort | undefined {
  const parts = text.split(':');
  if (parts.length > 3) return undefined;
  const [scheme = '', name = '', port = ''] = parts.length === 3 ? parts : ['', ...parts];
  if (name === '' || !['', 'http', 'https'].includes(scheme)) return undefined;
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port };
}
