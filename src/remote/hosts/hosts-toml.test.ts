import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HostConfigError } from './host-config-error.ts';
import { parseHostsToml } from './hosts-toml.ts';

const RUNS = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1_000) };

const name = fc.constantFrom(
  'server',
  'host',
  'ca',
  'client',
  'capabilities',
  'skip_verify',
  'header',
  'token_services',
  '__proto__',
  'x',
);
const scalar = fc.oneof(
  fc.string().map((text) => JSON.stringify(text)),
  fc.integer().map(String),
  fc.boolean().map(String),
  fc.constantFrom('"pull"', '["pull", "resolve"]', '[["a", "b"]]', '[]', '{}', '1979-05-27', '"10s"', 'nan'),
);
const line = fc.oneof(
  fc.tuple(name, scalar).map(([key, value]) => `${key} = ${value}`),
  fc.string().map((url) => `[host.${JSON.stringify(url)}]`),
  fc.constantFrom(
    '[header]',
    '[host."https://m.example"]',
    '[host."https://m.example".header]',
    '[__proto__]',
    '[[host]]',
  ),
  fc.string(),
);

test('16.9 whatever a hosts file holds, it is read or refused with a reason', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      try {
        const file = parseHostsToml(lines.join('\n'), '/etc/certs.d/r.example');
        for (const host of file.hosts) {
          assert.match(host.scheme, /^https?$/);
          assert.notEqual(host.host, '');
          assert.ok(host.capabilities.size > 0);
          for (const path of host.ca) assert.ok(path.startsWith('/'));
        }
      } catch (error) {
        assert.ok(error instanceof HostConfigError, String(error));
        assert.equal(error.code, 'BAD_FILE');
      }
      assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
      assert.equal(Object.getPrototypeOf({}), Object.prototype);
    }),
    RUNS,
  );
});

test('16.7 an address that was written is asked for: host and scheme survive', () => {
  const label = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/);
  const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined });
  fc.assert(
    fc.property(fc.constantFrom('http', 'https'), label, label, port, (scheme, a, b, port) => {
      const host = `${a}.${b}${port === undefined ? '' : `:${port}`}`;
      const [entry] = parseHostsToml(`[host."${scheme}://${host}"]`, '/d').hosts;
      assert.deepEqual([entry?.scheme, entry?.host, entry?.path], [scheme, host, '/v2']);
    }),
    RUNS,
  );
});

test('16.8 a prototype cannot be planted through a header table', () => {
  const { root } = parseHostsToml('[header]\n"__proto__" = "x"\nconstructor = "y"\n', '/d');
  assert.deepEqual(Object.keys(root.headers).sort(), ['__proto__', 'constructor']);
  assert.equal(Object.getPrototypeOf(root.headers), null);
});

test('16.9 a file of endless length is refused', () => {
  assert.throws(() => parseHostsToml('#'.repeat(2 * 1024 * 1024), '/d'), { code: 'BAD_FILE' });
});
