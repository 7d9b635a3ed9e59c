import { getServers } from 'node:dns';
import { isIP } from 'node:net';
import { messageOf } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import { RemoteError, type RemoteErrorCode } from './remote-error.ts';

/** A failure below HTTP, in the words of Go's `net`, `crypto/tls` and `crypto/x509`, which people search for. */
export interface DialFailure {
  readonly code: RemoteErrorCode;
  readonly text: string;
  /** True where a later try may find the network well: timeouts and connections cut off (rule 17.4). */
  readonly transient: boolean;
  /** True when the other side answered a TLS greeting with plain text. */
  readonly spokePlainHttp: boolean;
}

const CONNECT_TEXT: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  EADDRNOTAVAIL: 'connect: cannot assign requested address',
  EACCES: 'connect: permission denied',
};

const CERTIFICATE_TEXT: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'x509: certificate signed by unknown authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'x509: certificate signed by unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'x509: certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'x509: certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'x509: certificate signed by unknown authority',
  CERT_UNTRUSTED: 'x509: certificate signed by unknown authority',
  CERT_REVOKED: 'x509: certificate has been revoked',
  INVALID_CA: 'x509: invalid certificate authority',
};

/** Codes of errors that hide the real one in `cause` or `errors`. */
function unwrap(thrown: unknown): unknown {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return unwrap(thrown.errors[0]);
  return thrown;
}

/** Describes what went wrong while talking to `host` (`name[:port]`). */
export function describeDialFailure(thrown: unknown, host: string, defaultPort: number): DialFailure {
  const error = unwrap(thrown);
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const { name, port } = splitHost(host, defaultPort);
  const address = addressOf(error) ?? `${name}:${port}`;
  const plain = (code: RemoteErrorCode, text: string, transient = false): DialFailure => ({
    code,
    text,
    transient,
    spokePlainHttp: false,
  });
  const connect = Object.hasOwn(CONNECT_TEXT, code) ? CONNECT_TEXT[code] : undefined;
  if (connect !== undefined) return plain('UNREACHABLE', `dial tcp ${address}: ${connect}`);
  if (code === 'ENOTFOUND')
    return plain('UNREACHABLE', `dial tcp: lookup ${name}${onServer()}: no such host`);
  if (code === 'EAI_AGAIN')
    return plain('UNREACHABLE', `dial tcp: lookup ${name}${onServer()}: server misbehaving`, true);
  if (code === 'ETIMEDOUT' || code === 'UND_ERR_CONNECT_TIMEOUT')
    return plain('TIMEOUT', `dial tcp ${address}: i/o timeout`, true);
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return plain('TIMEOUT', 'net/http: TLS handshake timeout', true);
  if (code === 'UND_ERR_HEADERS_TIMEOUT')
    return plain('TIMEOUT', 'net/http: timeout awaiting response headers', true);
  if (code === 'UND_ERR_BODY_TIMEOUT') return plain('TIMEOUT', 'i/o timeout while reading body', true);
  if (code === 'ECONNRESET' || code === 'EPIPE')
    return plain('UNREACHABLE', `read tcp ${address}: read: connection reset by peer`, true);
  // A server without TLS may also just hang up on the greeting.
  if (code === 'ERR_TLS_HANDSHAKE_CLOSED')
    return { code: 'UNREACHABLE', text: 'EOF', transient: true, spokePlainHttp: true };
  if (code === 'UND_ERR_SOCKET') return plain('UNREACHABLE', 'EOF', true);
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return plain('UNREACHABLE', 'unexpected EOF', true);
  const certificate = certificateText(error, code, name);
  if (certificate !== undefined) return plain('TLS', `tls: failed to verify certificate: ${certificate}`);
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return {
      code: 'TLS',
      text: 'http: server gave HTTP response to HTTPS client',
      transient: false,
      spokePlainHttp: true,
    };
  }
  if (code.startsWith('ERR_SSL_')) return plain('TLS', `remote error: tls: ${alertText(code)}`);
  if (code.startsWith('HPE_')) return plain('BAD_RESPONSE', 'net/http: malformed HTTP response');
  return plain('UNREACHABLE', messageOf(error));
}

/** Makes the error of a request that got no answer: `Head "https://…": dial tcp …`. */
export function requestError(
  method: string,
  shownUrl: string,
  failure: DialFailure,
  cause: unknown,
): RemoteError {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  return new RemoteError(failure.code, `${verb} ${goQuote(shownUrl)}: ${failure.text}`, {
    cause,
    retryable: failure.transient,
  });
}

function certificateText(error: unknown, code: string, name: string): string | undefined {
  const known = Object.hasOwn(CERTIFICATE_TEXT, code) ? CERTIFICATE_TEXT[code] : undefined;
  if (known !== undefined) return known;
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const state =
      code === 'CERT_HAS_EXPIRED' ? 'is after its last valid day' : 'is before its first valid day';
    return `x509: certificate has expired or is not yet valid: current time ${now} ${state}`;
  }
  if (code !== 'ERR_TLS_CERT_ALTNAME_INVALID') return undefined;
  const certificate = error instanceof Error && 'cert' in error ? error.cert : undefined;
  const names =
    typeof certificate === 'object' &&
    certificate !== null &&
    'subjectaltname' in certificate &&
    typeof certificate.subjectaltname === 'string'
      ? certificate.subjectaltname
      : '';
  if (isIP(name) !== 0 && !names.includes('IP Address:'))
    return `x509: cannot validate certificate for ${name} because it doesn't contain any IP SANs`;
  if (names === '') return 'x509: certificate relies on legacy Common Name field, use SANs instead';
  const kind = isIP(name) === 0 ? 'DNS:' : 'IP Address:';
  const listed = names
    .split(', ')
    .filter((each) => each.startsWith(kind))
    .map((each) => each.slice(kind.length));
  return `x509: certificate is valid for ${listed.join(', ')}, not ${name}`;
}

function alertText(code: string): string {
  return code
    .replace(/^ERR_SSL_(TLSV1_ALERT_|TLSV13_ALERT_|SSLV3_ALERT_)?/, '')
    .toLowerCase()
    .replaceAll('_', ' ');
}

function onServer(): string {
  const server = getServers()[0];
  if (server === undefined) return '';
  return isIP(server) === 0 ? ` on ${server}` : ` on ${isIP(server) === 6 ? `[${server}]` : server}:53`;
}

function addressOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('address' in error) || !('port' in error)) return undefined;
  const { address, port } = error;
  if (typeof address !== 'string') return undefined;
  return isIP(address) === 6 ? `[${address}]:${String(port)}` : `${address}:${String(port)}`;
}

/** Splits `name[:port]`, brackets of IPv6 taken off. */
export function splitHost(host: string, defaultPort: number): { name: string; port: number } {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(host);
  const name = (match?.[1] ?? host).replace(/^\[|\]$/g, '');
  return { name, port: match?.[2] === undefined ? defaultPort : Number(match[2]) };
}
