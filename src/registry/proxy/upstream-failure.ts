import { RemoteError } from '../../remote/remote-error.ts';
import { RegistryError } from '../registry-error.ts';

/** Tells whether content that is here may be served in place of an upstream's answer: all but a plain "not there". */
export function mayServeStale(error: unknown): error is RemoteError {
  return error instanceof RemoteError && error.code !== 'NOT_FOUND';
}

/** Tells whether an upstream as a whole is in trouble, not one repository or one credential. */
export function isOutage(error: unknown): error is RemoteError {
  return error instanceof RemoteError && OUTAGES.has(error.code);
}

const OUTAGES: ReadonlySet<string> = new Set([
  'RATE_LIMITED',
  'UNREACHABLE',
  'TLS',
  'TIMEOUT',
  'SERVER_ERROR',
]);

/** Longest reason shown in a header: the whole of it may have 4096 bytes. */
const REASON_LIMIT = 1_000;

/** Returns the header that says that an answer may be out of date, and why. @see RFC 7234 section 5.5; OCI distribution-spec v1.1.1, "Warnings" */
export function staleWarning(upstream: string, error: RemoteError): Record<string, string> {
  return { Warning: `299 - "served from cache: ${upstream} does not answer: ${reasonOf(error)}"` };
}

/** Returns the header that says that a listing has only what is here, or what it had before, and why. */
export function listingWarning(upstream: string, error: RemoteError): Record<string, string> {
  return { Warning: `299 - "listed from cache: ${upstream} does not answer: ${reasonOf(error)}"` };
}

function reasonOf(error: RemoteError): string {
  return error.message.replaceAll(/[^\x20-\x7e]|["\\]/g, ' ').slice(0, REASON_LIMIT);
}

/** Pause asked of a client when an upstream that limits us named none. */
const PAUSE_MS = 60_000;

/** Turns an upstream's refusal into the answer to our client, with what the upstream said of its limits. */
export function upstreamFailure(
  upstream: string,
  error: RemoteError,
  limits: Readonly<Record<string, string>>,
): RegistryError {
  const says = `upstream ${upstream}: ${error.message}`;
  const cause = { cause: error, headers: limits };
  if (error.code === 'NOT_FOUND') return new RegistryError('MANIFEST_UNKNOWN', 'manifest unknown', cause);
  if (error.code === 'UNAUTHORIZED' || error.code === 'DENIED')
    return new RegistryError('DENIED', says, cause);
  if (error.code === 'RATE_LIMITED') {
    const headers = { ...limits, 'Retry-After': String(Math.ceil((error.retryAfterMs ?? PAUSE_MS) / 1000)) };
    return new RegistryError('TOOMANYREQUESTS', says, { ...cause, headers, retryable: true });
  }
  return new RegistryError('UNAVAILABLE', says, { ...cause, status: error.code === 'TIMEOUT' ? 504 : 502 });
}
