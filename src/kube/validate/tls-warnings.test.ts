import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeCertificates } from '../../../test/support/certificates.ts';
import { tlsWarnings } from './tls-warnings.ts';

test('a secret for TLS whose parts do not serve together is warned of in the words of Go', async (t) => {
  const { server, client } = await makeCertificates(t);
  const text = (type: string, inner = 'AAAA'): string =>
    `-----BEGIN ${type}-----\n${inner}\n-----END ${type}-----\n`;
  const cases: readonly (readonly [crt: string, key: string, warning?: string])[] = [
    [server.cert, server.key],
    [`${text('COMMENT')}${server.cert}`, server.key],
    [server.cert, client.key, 'tls: private key does not match public key'],
    ['a', server.key, 'tls: failed to find any PEM data in certificate input'],
    [server.cert, '', 'tls: failed to find any PEM data in key input'],
    [
      server.key,
      server.cert,
      'tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched',
    ],
    [
      text('X') + text('Y'),
      server.key,
      'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [X Y]',
    ],
    [server.cert, server.cert, 'tls: found a certificate rather than a key in the PEM for the private key'],
    [
      server.cert,
      text('PUBLIC KEY'),
      'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [PUBLIC KEY]',
    ],
    [text('CERTIFICATE'), server.key, 'x509: malformed certificate'],
    [server.cert, text('PRIVATE KEY'), 'tls: failed to parse private key'],
  ];
  for (const [crt, key, warning] of cases) {
    const data = {
      'tls.crt': Buffer.from(crt).toString('base64'),
      'tls.key': Buffer.from(key).toString('base64'),
    };
    assert.deepEqual(
      tlsWarnings({ type: 'kubernetes.io/tls', data }),
      warning === undefined ? [] : [warning],
    );
    assert.deepEqual(tlsWarnings({ type: 'Opaque', data }), []);
  }
});
