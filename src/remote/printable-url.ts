/** Query parameters of the distribution protocol: harmless, and needed to read a message. Any other may be a signature. */
const PLAIN_PARAMETERS: ReadonlySet<string> = new Set([
  'ns',
  'scope',
  'service',
  'n',
  'last',
  'tag',
  'digest',
  'mount',
  'from',
  'origin',
  'artifactType',
  'client_id',
]);

/**
 * Prints a URL for messages and records: no user or password, and only the protocol's own query parameters, because a signed
 * download URL is a credential. The host keeps its spelling, which `URL` would lower-case.
 */
export function printableUrl(url: string): string {
  const hash = url.indexOf('#');
  const bare = hash < 0 ? url : url.slice(0, hash);
  const mark = bare.indexOf('?');
  const address = (mark < 0 ? bare : bare.slice(0, mark)).replace(/^([a-z]+:\/\/)[^/@]*@/i, '$1');
  if (mark < 0) return address;
  const parameters = bare
    .slice(mark + 1)
    .split('&')
    .map((pair) => {
      const name = pair.split('=', 1)[0] ?? '';
      return PLAIN_PARAMETERS.has(name) ? pair : `${name}=REDACTED`;
    });
  return `${address}?${parameters.join('&')}`;
}
