import assert from 'node:assert/strict';
import { getServers } from 'node:dns';
import { test } from 'node:test';
import { describeDialFailure, requestError } from './dial-error.ts';

const fail = (code: string, more: object = {}): Error => Object.assign(new Error(code), { code }, more);

const ROWS: readonly {
  name: string;
  error: unknown;
  host: string;
  text: string | RegExp;
  code: string;
  transient: boolean;
}[] = [
  {
    name: 'nobody listens',
    error: fail('ECONNREFUSED', { address: '127.0.0.1', port: 5000 }),
    host: 'localhost:5000',
    text: 'dial tcp 127.0.0.1:5000: connect: connection refused',
    code: 'UNREACHABLE',
    transient: false,
  },
  {
    name: 'nobody listens on IPv6',
    error: fail('ECONNREFUSED', { address: '::1', port: 5000 }),
    host: 'localhost:5000',
    text: 'dial tcp [::1]:5000: connect: connection refused',
    code: 'UNREACHABLE',
    transient: false,
  },
  {
    name: 'nobody listens on any address',
    error: new AggregateError([
      fail('ECONNREFUSED', { address: '10.0.0.1', port: 443 }),
      fail('ECONNREFUSED'),
    ]),
    host: 'r.example',
    text: 'dial tcp 10.0.0.1:443: connect: connection refused',
    code: 'UNREACHABLE',
    transient: false,
  },
  {
    name: 'no route',
    error: fail('EHOSTUNREACH', { address: '10.0.0.1', port: 443 }),
    host: 'r.example',
    text: 'dial tcp 10.0.0.1:443: connect: no route to host',
    code: 'UNREACHABLE',
    transient: false,
  },
  {
    name: 'no network',
    error: fail('ENETUNREACH'),
    host: 'r.example',
    text: 'dial tcp r.example:443: connect: network is unreachable',
    code: 'UNREACHABLE',
    transient: false,
  },
  {
    name: 'the name does not exist',
    error: fail('ENOTFOUND'),
    host: 'UPPER',
    text: /^dial tcp: lookup UPPER( on \S+:53)?: no such host$/,
    code: 'UNREACHABLE',
    transient: false,
  },
  {
    name: 'the name server is ill',
    error: fail('EAI_AGAIN'),
    host: 'r.example:5000',
    text: /^dial tcp: lookup r\.example( on \S+:53)?: server misbehaving$/,
    code: 'UNREACHABLE',
    transient: true,
  },
  {
    name: 'no answer to the connection',
    error: fail('UND_ERR_CONNECT_TIMEOUT'),
    host: 'r.example',
    text: 'dial tcp r.example:443: i/o timeout',
    code: 'TIMEOUT',
    transient: true,
  },
  {
    name: 'no answer to the handshake',
    error: fail('ERR_TLS_HANDSHAKE_TIMEOUT'),
    host: 'r.example',
    text: 'net/http: TLS handshake timeout',
    code: 'TIMEOUT',
    transient: true,
  },
  {
    name: 'no answer to the request',
    error: fail('UND_ERR_HEADERS_TIMEOUT'),
    host: 'r.example',
    text: 'net/http: timeout awaiting response headers',
    code: 'TIMEOUT',
    transient: true,
  },
  {
    name: 'the connection is reset',
    error: fail('ECONNRESET'),
    host: 'r.example',
    text: 'read tcp r.example:443: read: connection reset by peer',
    code: 'UNREACHABLE',
    transient: true,
  },
  {
    name: 'the other side closes',
    error: fail('UND_ERR_SOCKET'),
    host: 'r.example',
    text: 'EOF',
    code: 'UNREACHABLE',
    transient: true,
  },
  {
    name: 'a private CA',
    error: fail('SELF_SIGNED_CERT_IN_CHAIN'),
    host: 'r.example',
    text: 'tls: failed to verify certificate: x509: certificate signed by unknown authority',
    code: 'TLS',
    transient: false,
  },
  {
    name: 'an expired certificate',
    error: fail('CERT_HAS_EXPIRED'),
    host: 'r.example',
    text: /x509: certificate has expired or is not yet valid: current time \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ is after/,
    code: 'TLS',
    transient: false,
  },
  {
    name: 'another name',
    error: fail('ERR_TLS_CERT_ALTNAME_INVALID', { cert: { subjectaltname: 'DNS:a.example, DNS:b.example' } }),
    host: 'r.example',
    text: 'tls: failed to verify certificate: x509: certificate is valid for a.example, b.example, not r.example',
    code: 'TLS',
    transient: false,
  },
  {
    name: 'a certificate without names',
    error: fail('ERR_TLS_CERT_ALTNAME_INVALID', { cert: {} }),
    host: 'r.example',
    text: /x509: certificate relies on legacy Common Name field/,
    code: 'TLS',
    transient: false,
  },
  {
    name: 'plain text where TLS was expected',
    error: fail('ERR_SSL_WRONG_VERSION_NUMBER'),
    host: 'r.example',
    text: 'http: server gave HTTP response to HTTPS client',
    code: 'TLS',
    transient: false,
  },
  {
    name: 'a client certificate is wanted',
    error: fail('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
    host: 'r.example',
    text: 'remote error: tls: certificate required',
    code: 'TLS',
    transient: false,
  },
  {
    name: 'anything else',
    error: new Error('odd'),
    host: 'r.example',
    text: 'odd',
    code: 'UNREACHABLE',
    transient: false,
  },
  {
    name: 'not even an error',
    error: 'odd',
    host: 'r.example',
    text: 'odd',
    code: 'UNREACHABLE',
    transient: false,
  },
];
for (const { name, error, host, text, code, transient } of ROWS) {
  test(`17.12 a failure to connect is worded as Go words it: ${name}`, () => {
    const failure = describeDialFailure(error, host, 443);
    if (typeof text === 'string') assert.equal(failure.text, text);
    else assert.match(failure.text, text);
    assert.equal(failure.code, code);
    assert.equal(failure.transient, transient);
  });
}

test('17.12 the request that failed is named with method and address, as recorded from Kubernetes 1.36.2', () => {
  const failure = describeDialFailure(fail('ENOTFOUND'), 'UPPER', 443);
  const error = requestError('HEAD', 'https://UPPER/v2/x/manifests/latest', failure, undefined);
  const server = getServers().length === 0 ? '' : / on \S+:53/.exec(error.message)?.[0];
  assert.equal(
    error.message,
    `Head "https://UPPER/v2/x/manifests/latest": dial tcp: lookup UPPER${server}: no such host`,
  );
});
