import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { skipUnlessRoot } from '../../test/support/tools.ts';
import { startTestApi } from '../../test/support/test-api.ts';

const user = { name: 'kubernetes-admin', groups: ['system:masters'] };

test('without being asked the API is served over TLS only', async () => {
  const api = await startTestApi();
  try {
    assert.equal(api.server.plainUrl, undefined);
  } finally {
    await api.close();
  }
});

test('on plain loopback a process of the same user acts as the one named, and tokens count first', async () => {
  const reader = { token: 'a-token', user: { name: 'reader', groups: [] } };
  const api = await startTestApi({ plain: { port: 0, user }, tokens: [reader] });
  try {
    const url = api.server.plainUrl ?? '';
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
    const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(`${url}${path}`, { headers });
    assert.equal((await get('/api/v1/namespaces')).status, 200);
    assert.equal((await get('/api/v1/namespaces', { authorization: 'Bearer a-token' })).status, 403);
    assert.equal((await get('/api/v1/namespaces', { authorization: 'Bearer another' })).status, 401);
    const made = await fetch(`${url}/api/v1/namespaces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'plain' } }),
    });
    assert.equal(made.status, 201);
    // One server behind both doors.
    assert.equal((await api.send('GET', '/api/v1/namespaces/plain')).code, 200);
  } finally {
    await api.close();
  }
});

test('a page in a browser is nobody on plain loopback, by its origin and by a name that leads here', async () => {
  const api = await startTestApi({ plain: { port: 0, user } });
  try {
    const url = api.server.plainUrl ?? '';
    assert.equal(
      (await fetch(`${url}/api/v1/namespaces`, { headers: { origin: 'http://evil.example' } })).status,
      403,
    );
    const { hostname, port } = new URL(url);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => {
        socket.end('GET /api/v1/namespaces HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n');
      });
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.once('close', () => resolve(text));
      socket.once('error', reject);
    });
    assert.match(answer, /^HTTP\/1\.1 403 /);
  } finally {
    await api.close();
  }
});

test("another user's process is nobody on plain loopback", { skip: skipUnlessRoot() }, async () => {
  const api = await startTestApi({ plain: { port: 0, user } });
  try {
    const url = `${api.server.plainUrl ?? ''}/api/v1/namespaces`;
    const child = spawn(
      process.execPath,
      ['-e', 'fetch(process.argv[1]).then((a) => console.log(a.status))', url],
      {
        uid: 65534,
        gid: 65534,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await once(child, 'close');
    assert.equal(said.trim(), '403');
  } finally {
    await api.close();
  }
});
