import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { execFileSync } from 'node:child_process';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { silentLogger } from '../../src/observe/logger.ts';
import { openAdministration } from '../../src/registry/admin/open-administration.ts';
import type { Webhook } from '../../src/registry/webhooks/webhook-sender.ts';
import { errorCodes, pushImage, serveRegistry, sha256 } from '../support/serve-registry.ts';
import { skipWithout } from '../support/tools.ts';

describe('operation', () => {
  test('health, readiness and metrics are served without a credential', async (t) => {
    const served = await serveRegistry(t, { auth: 'required' });
    for (const path of ['/healthz', '/readyz']) {
      const answer = await served.send('GET', path);
      assert.equal(answer.status, 200);
      assert.equal(await answer.text(), 'ok\n');
    }
    await served.send('GET', '/v2/');
    const metrics = await (await served.send('GET', '/metrics')).text();
    assert.match(metrics, /drayage_registry_requests_total\{kind="ping",status="401"\} 1/);
    assert.match(metrics, /drayage_registry_active_requests 1/);
  });

  test('a request has an ID, a proxy may give it, and nothing unsafe is taken for one', async (t) => {
    const served = await serveRegistry(t);
    const given = await served.send('GET', '/v2/', { headers: { 'x-request-id': 'abc-123' } });
    assert.equal(given.headers.get('x-request-id'), 'abc-123');
    const unsafe = await served.send('GET', '/v2/', { headers: { 'x-request-id': 'a b"c' } });
    assert.match(unsafe.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
  });

  test('changes and refusals are in the audit log; first requests without a credential are not', async (t) => {
    const served = await serveRegistry(t, { auth: 'required' });
    const { admin, robots } = served.registry;
    await admin.addUser('alice', 'correct-horse');
    await admin.createProject('p');
    await admin.grantRole('p', 'alice', 'guest');
    await robots.create('p', 'ci', 'developer');
    await served.send('GET', '/v2/p/x/tags/list');
    await served.send('GET', '/v2/p/x/tags/list', { basic: 'alice:wrong-password' });
    await served.send('POST', '/v2/p/x/blobs/uploads/', { basic: 'alice:correct-horse' });
    await served.send('GET', '/token', { basic: 'alice:wrong-password' });
    const form = new URLSearchParams({ grant_type: 'password', username: 'bob', password: 'wrong' });
    await served.send('POST', '/token', { body: form.toString() });
    await served.send('GET', '/v2/p/x/tags/list', { basic: 'eve\u001b:wrong-password' });
    await served.send('GET', '/token', { basic: 'dray_pasted-into-the-wrong-field:' });
    await served.send('GET', '/v2/p/x/tags/list', { basic: 'eyJhbGciOiJSUzI1NiJ9.e30.abc:' });
    const entries = await admin.listAudit();
    assert.deepEqual(
      entries
        .reverse()
        .map(({ account, action, target, outcome }) => `${account} ${action} ${target} ${outcome}`),
      [
        'local user.create alice done',
        'local project.create p done',
        'local role.grant p alice guest done',
        'local robot.create robot.p.ci done',
        'alice access p/x denied',
        'alice access p/x denied',
        'alice login token denied',
        'bob login token denied',
        'eve\uFFFD access p/x denied',
        '(a secret) login token denied',
        '(a secret) access p/x denied',
      ],
    );
    const denied = await admin.listAudit({ outcome: 'denied', account: 'alice' });
    assert.equal(denied.length, 3);
  });

  test('pushes and deletions are audited with who did them', async (t) => {
    const served = await serveRegistry(t);
    await pushImage(served, 'p/x', 'v1', ['layer']);
    await served.send('DELETE', '/v2/p/x/manifests/v1');
    const actions = (await served.registry.admin.listAudit()).map(
      ({ action, target }) => `${action} ${target}`,
    );
    assert.ok(actions.includes('manifest.push p/x:v1'));
    assert.ok(actions.includes('tag.delete p/x:v1'));
    assert.ok(actions.includes(`blob.push p/x@${sha256('layer')}`));
  });

  test('more requests of one client than are allowed at a time answer 429', async (t) => {
    const served = await serveRegistry(t, { concurrentPerClient: 1 });
    const location = (await served.send('POST', '/v2/a/blobs/uploads/')).headers.get('location') ?? '';
    const held = await hold(served.registry.port, location);
    let refused = await served.send('GET', '/v2/');
    while (refused.status === 200) refused = await served.send('GET', '/v2/');
    assert.equal(refused.status, 429);
    assert.deepEqual(await errorCodes(refused), ['TOOMANYREQUESTS']);
    held.destroy();
  });

  test('closing lets an upload under way end', async (t) => {
    const served = await serveRegistry(t);
    const location = (await served.send('POST', '/v2/a/blobs/uploads/')).headers.get('location') ?? '';
    const held = await hold(served.registry.port, location);
    while ((await served.send('GET', location)).headers.get('range') !== '0-4') continue;
    let answer = '';
    held.on('data', (data) => {
      answer += String(data);
    });
    const ended = once(held, 'close');
    const closed = served.registry.close();
    held.write('56789');
    await closed;
    await ended;
    assert.match(answer, /^HTTP\/1\.1 202 /);
    assert.match(answer, /Range: 0-9/);
  });
});

/** Begins a PATCH of ten bytes and sends five; whether they have arrived is the caller's to find out. */
async function hold(port: number, location: string): Promise<ReturnType<typeof connect>> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(
    `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nConnection: close\r\n\r\n01234`,
  );
  return socket;
}

describe('webhooks', () => {
  interface Taken {
    readonly action: string;
    readonly repository: string;
    readonly tag: string | undefined;
    readonly signed: boolean;
  }

  async function receiver(
    t: TestContext,
    answers: number[],
  ): Promise<{ hook: Webhook; taken: Taken[]; next: () => Promise<void> }> {
    const taken: Taken[] = [];
    const waiting: (() => void)[] = [];
    const server = createServer((message, response) => {
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of message) chunks.push(chunk as Buffer);
        const body = Buffer.concat(chunks);
        const { events } = JSON.parse(body.toString()) as {
          events: [{ action: string; target: { repository: string; tag?: string } }];
        };
        const [{ action, target }] = events;
        const expected = `sha256=${createHmac('sha256', 's3cret').update(body).digest('hex')}`;
        const signed = message.headers['x-drayage-signature'] === expected;
        taken.push({ action, repository: target.repository, tag: target.tag, signed });
        response.writeHead(answers.shift() ?? 200).end();
        waiting.shift()?.();
      })();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
    return {
      hook: { name: 'test', url, secret: 's3cret' },
      taken,
      next: () => new Promise((resolve) => waiting.push(resolve)),
    };
  }

  test('pushes and deletions are told, signed, and told again until they are taken', async (t) => {
    const clock = new ManualClock(Date.UTC(2026, 0, 1));
    const { hook, taken, next } = await receiver(t, [500, 200, 200]);
    const served = await serveRegistry(t, { clock, webhooks: [hook] });
    const refused = next();
    await pushImage(served, 'p/x', 'v1');
    await refused;
    const again = next();
    let told = false;
    void again.then(() => {
      told = true;
    });
    while (!told) await clock.advance(1_000);
    const deletion = next();
    await served.send('DELETE', '/v2/p/x/manifests/v1');
    await deletion;
    assert.deepEqual(taken, [
      { action: 'push', repository: 'p/x', tag: 'v1', signed: true },
      { action: 'push', repository: 'p/x', tag: 'v1', signed: true },
      { action: 'delete', repository: 'p/x', tag: 'v1', signed: true },
    ]);
  });

  test('a receiver that cannot be reached is named in the log with the reason', async (t) => {
    const told = Promise.withResolvers<unknown>();
    const logger = { ...silentLogger, warn: (facts: unknown) => told.resolve(facts) };
    const hook = { name: 'gone', url: 'http://127.0.0.1:1/hook' };
    const served = await serveRegistry(t, { webhooks: [hook], logger });
    await pushImage(served, 'p/x', 'v1');
    assert.deepEqual(await told.promise, {
      webhook: 'gone',
      attempts: 1,
      reason: 'fetch failed: bad port',
    });
  });

  test('a refusal for want of room is told', async (t) => {
    const { hook, taken, next } = await receiver(t, []);
    const served = await serveRegistry(t, { webhooks: [{ ...hook, events: ['quota'] }] });
    await served.registry.admin.createProject('p');
    await served.registry.admin.setPolicy('p', { quotaBytes: 1 });
    const told = next();
    await served.send('POST', `/v2/p/x/blobs/uploads/?digest=${sha256('too much')}`, { body: 'too much' });
    await told;
    assert.deepEqual(taken, [{ action: 'quota', repository: 'p/x', tag: undefined, signed: true }]);
  });
});

describe('certificates', { skip: skipWithout('openssl') }, () => {
  test('are exchanged while the registry serves when their files change', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'dray-tls-'));
    t.after(() => rm(directory, { recursive: true }));
    const at = (name: string): string => join(directory, name);
    for (const name of ['one', 'two']) {
      const subject = ['-subj', `/CN=${name}`, '-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)];
      const kind = [
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ];
      execFileSync('openssl', ['req', ...kind, ...subject], { stdio: 'ignore' });
    }
    const use = async (name: string): Promise<void> => {
      await copyFile(at(`${name}.crt`), at('tls.crt'));
      await copyFile(at(`${name}.key`), at('tls.key'));
    };
    await use('one');
    const clock = new ManualClock(0);
    const served = await serveRegistry(t, {
      clock,
      tls: { certFile: at('tls.crt'), keyFile: at('tls.key') },
    });
    const name = async (): Promise<unknown> => {
      const socket = connectTls({ port: served.registry.port, host: '127.0.0.1', rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const subject = socket.getPeerCertificate().subject.CN;
      socket.destroy();
      return subject;
    };
    assert.equal(await name(), 'one');
    await use('two');
    for (let look = 0; look < 100 && (await name()) !== 'two'; look++) await clock.advance(10_000);
    assert.equal(await name(), 'two');
  });
});

describe('administration from another process', () => {
  test('counts at once in the registry that serves', async (t) => {
    const served = await serveRegistry(t, { auth: 'required' });
    const opened = await openAdministration(served.directory);
    t.after(() => opened.close());
    await opened.admin.addUser('alice', 'correct-horse', { admin: true });
    const status = async (basic: string): Promise<number> =>
      (await served.send('GET', '/v2/', { basic })).status;
    assert.equal(await status('alice:correct-horse'), 200);
    await opened.admin.setPassword('alice', 'another-horse');
    assert.equal(await status('alice:correct-horse'), 401);
    assert.equal(await status('alice:another-horse'), 200);
    const report = await opened.maintenance.collect(new AbortController().signal);
    assert.equal(report.busy, false);
  });
});
