import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../observe/logger.ts';
import { ConfigurationError } from '../images/configuration-fields.ts';
import { plainPortsOf } from './plain-ports.ts';
import { startPlainServer } from './plain-server.ts';

const TALE = {
  pulls: () => ({ pulling: [], ended: [{ image: 'x:1' }] }),
  metrics: { contentType: 'text/plain; version=0.0.4', text: () => Promise.resolve('a_total 1\n') },
};

for (const { serves, told } of [
  { serves: 'health', told: ['200 ok', '404', '404', '404', '404'] },
  {
    serves: 'numbers',
    told: ['200 ok', '200 a_total 1\n', '200 {"pulling":[],"ended":[{"image":"x:1"}]}', '404', '404'],
  },
] as const) {
  test(`a port without TLS that serves ${serves} tells that to everybody, and of Pods nothing`, async (t) => {
    const server = await startPlainServer({ host: '127.0.0.1', port: 0, serves }, TALE, silentLogger);
    t.after(() => server.close());
    const asked = await Promise.all(
      ['/healthz', '/metrics', '/pulls', '/pods', '/containerLogs/default/p/a'].map(async (path) => {
        const answer = await fetch(`http://127.0.0.1:${server.port}${path}`);
        const text = await answer.text();
        return answer.status === 200 ? `200 ${text}` : String(answer.status);
      }),
    );
    assert.deepEqual(asked, told);
    const changed = await fetch(`http://127.0.0.1:${server.port}/healthz`, { method: 'POST' });
    assert.equal(changed.status, 405);
  });
}

test('a node has ports without TLS when its configuration names them, under the kubelet’s names', () => {
  const health = { host: '127.0.0.1', port: 10248, serves: 'health' };
  const table: [object, object[]][] = [
    [{}, []],
    [{ healthzPort: 0, readOnlyPort: 0 }, []],
    [{ healthzPort: 10248 }, [health]],
    [{ healthzBindAddress: '127.0.0.1' }, [health]],
    [{ healthzBindAddress: '127.0.0.1', healthzPort: 0 }, []],
    [{ healthzBindAddress: '::1', healthzPort: 9 }, [{ host: '::1', port: 9, serves: 'health' }]],
    [{ readOnlyPort: 10255 }, [{ host: '127.0.0.1', port: 10255, serves: 'numbers' }]],
  ];
  for (const [document, ports] of table)
    assert.deepEqual(plainPortsOf(document as Record<string, unknown>), ports, JSON.stringify(document));
});

test('ports that are none are refused in Kubernetes’ words', () => {
  for (const [document, message] of [
    [
      { healthzPort: 65_536 },
      'invalid configuration: healthzPort (--healthz-port) 65536 must be between 1 and 65535, inclusive',
    ],
    [
      { readOnlyPort: -1 },
      'invalid configuration: readOnlyPort (--read-only-port) -1 must be between 0 and 65535, inclusive',
    ],
  ] as const)
    assert.throws(
      () => plainPortsOf(document),
      (error: unknown) => {
        assert.ok(error instanceof ConfigurationError);
        assert.deepEqual([error.code, error.message], ['INVALID', message]);
        return true;
      },
    );
});
