import { RemoteError } from '../../remote/remote-error.ts';
import { RegistryError } from '../registry-error.ts';

/** Tells whether content that is here may be served in place of an upstream's answer: all but a plain "not there". */
export function mayServeStale(error: unknown): error is RemoteError {
  return error instanceof RemoteError && error.code !== 'NOT_FOUND';
}

/** Longest reason shown in a header: the whole of it may have 4096 bytes. */
const REASON_LIMIT = 1_000;

/** Returns the header that says that an answer may be out of date, and why. @see RFC 7234 section 5.5; OCI distribution-spec v1.1.1, "Warnings" */
export function staleWarning(upstream: string, error: RemoteError): Record<string, string> {
  const reason = error.message.replaceAll(/[^\x20-\x7e]|["\\]/g, ' ').slice(0, REASON_LIMIT);
  return { Warning: `299 - "served from cache: ${upstream} does not answer: ${reason}"` };
}

/** Pause asked of a client when an upstream that limits us named none. */
const PAUSE_MS = 60_000;

/** Turns an upstream's refusal into the answer to our client. */
export function upstreamFailure(upstream: string, error: RemoteError): RegistryError {
  const says = `upstream ${upstream}: ${error.message}`;
  const cause = { cause: error };
  if (error.code === 'NOT_FOUND') return new RegistryError('MANIFEST_UNKNOWN', 'manifest unknown', cause);
  if (error.code === 'UNAUTHORIZED' || error.code === 'DENIED')
    return new RegistryError('DENIED', says, cause);
  if (error.code === 'RATE_LIMITED') {
    const headers = { 'Retry-After': String(Math.ceil((error.retryAfterMs ?? PAUSE_MS) / 1000)) };
    return new RegistryError('TOOMANYREQUESTS', says, { ...cause, headers, retryable: true });
  }
  return new RegistryError('UNAVAILABLE', says, { ...cause, status: error.code === 'TIMEOUT' ? 504 : 502 });
}
