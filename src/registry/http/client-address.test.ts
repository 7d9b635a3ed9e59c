import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { clientAddress, trustedProxies } from './client-address.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 1_000);
const trusted = trustedProxies(['10.0.0.0/8', '192.0.2.7', 'fd00::/8']);

const cases: readonly [
  name: string,
  connection: string,
  header: string | string[] | undefined,
  client: string,
][] = [
  ['no header', '203.0.113.9', undefined, '203.0.113.9'],
  ['a header from a stranger', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
  ['a header from a proxy', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
  ['a proxy over an IPv6 socket', '::ffff:10.0.0.1', '198.51.100.1', '198.51.100.1'],
  ['a chain of proxies', '10.0.0.1', '198.51.100.1, 192.0.2.7, 10.9.9.9', '198.51.100.1'],
  ['what the client wrote in front', '10.0.0.1', '1.1.1.1, 198.51.100.1', '198.51.100.1'],
  ['several headers', 'fd00::1', ['1.1.1.1', '198.51.100.1'], '198.51.100.1'],
  ['ports', '10.0.0.1', '[2001:db8::1]:443, 10.2.2.2:80', '2001:db8::1'],
  ['no address at all', '10.0.0.1', 'unknown', '10.0.0.1'],
  ['nothing but proxies', '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
];

for (const [name, connection, header, client] of cases) {
  test(`with ${name} the client is ${client}`, () => {
    assert.equal(clientAddress(connection, header, trusted), client);
  });
}

for (const text of ['', 'proxy', '10.0.0.0/33', '10.0.0.0/x', 'fd00::/129', '10.0.0.0/8/8', '10.0.0.0/']) {
  test(`"${text}" is no proxy`, () => {
    assert.throws(() => trustedProxies([text]), /not an address or a network/);
  });
}

test('whatever a stranger writes, his address is that of his connection', () => {
  fc.assert(
    fc.property(fc.string(), (header) => {
      assert.equal(clientAddress('203.0.113.9', header, trusted), '203.0.113.9');
    }),
    { numRuns: RUNS },
  );
});
