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

/** Turns an upstream's refusal into the answer to our client. */
export function upstreamFailure(upstream: string, error: RemoteError): RegistryError {
  const says = `upstream ${upstream}: ${error.message}`;
  switch (error.code) {
    case 'NOT_FOUND':
      return new RegistryError('MANIFEST_UNKNOWN', 'manifest unknown', { cause: error });
    case 'RATE_LIMITED': {
      const seconds = Math.ceil((error.retryAfterMs ?? 60_000) / 1000);
      const headers = { 'Retry-After': String(seconds) };
      return new RegistryError('TOOMANYREQUESTS', says, { cause: error, headers, retryable: true });
    }
    case 'UNAUTHORIZED':
    case 'DENIED':
      return new RegistryError('DENIED', says, { cause: error });
    case 'TIMEOUT':
      return new RegistryError('UNAVAILABLE', says, { cause: error, status: 504 });
    default:
      return new RegistryError('UNAVAILABLE', says, { cause: error, status: 502 });
  }
}
