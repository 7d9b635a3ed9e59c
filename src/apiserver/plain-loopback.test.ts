import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestApi } from '../../test/support/test-api.ts';

test('without being asked the API is served over TLS only', async () => {
  const api = await startTestApi();
  try {
    assert.equal(api.server.plainUrl, undefined);
  } finally {
    await api.close();
  }
});

test('on plain loopback a token says who asks, and who brings none is nobody', async () => {
  const user = { name: 'kubernetes-admin', groups: ['system:masters'] };
  const api = await startTestApi({ plainPort: 0, tokens: [{ token: 'a-token', user }] });
  try {
    const url = api.server.plainUrl ?? '';
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+$/);
    const get = (path: string, token?: string): Promise<Response> =>
      fetch(`${url}${path}`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await get('/version')).status, 200);
    assert.equal((await get('/api/v1/namespaces', 'a-token')).status, 200);
    assert.equal((await get('/api/v1/namespaces')).status, 403);
    assert.equal((await get('/api/v1/namespaces', 'another')).status, 401);
    const made = await fetch(`${url}/api/v1/namespaces`, {
      method: 'POST',
      headers: { authorization: 'Bearer a-token', 'content-type': 'application/json' },
      body: JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'plain' } }),
    });
    assert.equal(made.status, 201);
    // One server behind both doors.
    assert.equal((await api.send('GET', '/api/v1/namespaces/plain')).code, 200);
  } finally {
    await api.close();
  }
});
