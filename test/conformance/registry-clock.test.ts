import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test, type TestContext } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { runDray } from '../support/run-dray.ts';
import { pushImage, serveRegistry, sha256, type ServedRegistry } from '../support/serve-registry.ts';

const signal = new AbortController().signal;
const DAY = 24 * 3_600_000;
const BASIC = 'alice:correct-horse';

async function guarded(t: TestContext): Promise<{ served: ServedRegistry; clock: ManualClock }> {
  const clock = new ManualClock(Date.now());
  const served = await serveRegistry(t, { auth: 'required', clock, maintenance: { everyMs: 0 } });
  await served.registry.admin.addUser('alice', 'correct-horse', { admin: true });
  return { served, clock };
}

async function tokenFor(served: ServedRegistry): Promise<string> {
  const answer = await served.send('GET', '/token?scope=repository:a:pull,push', { basic: BASIC });
  return ((await answer.json()) as { token: string }).token;
}

const begin = async (served: ServedRegistry, bearer: string): Promise<number> =>
  (await served.send('POST', '/v2/a/blobs/uploads/', { bearer })).status;

for (const [name, leap] of [
  ['back', -DAY],
  ['forward', DAY],
] as const) {
  describe(`a clock that is set ${name} by a day`, () => {
    test('ends the tokens that are out, and new ones are good', async (t) => {
      const { served, clock } = await guarded(t);
      const old = await tokenFor(served);
      assert.equal(await begin(served, old), 202);
      clock.set(clock.now() + leap);
      const answer = await served.send('POST', '/v2/a/blobs/uploads/', { bearer: old });
      assert.equal(answer.status, 401);
      assert.match(answer.headers.get('www-authenticate') ?? '', /error="invalid_token"/);
      assert.equal(await begin(served, await tokenFor(served)), 202);
    });

    test('locks nobody out for longer than before', async (t) => {
      const { served, clock } = await guarded(t);
      for (let i = 0; i < 6; i++) await served.send('GET', '/v2/', { basic: `alice:wrong-${i}` });
      assert.equal((await served.send('GET', '/v2/', { basic: BASIC })).status, 429);
      clock.set(clock.now() + leap);
      assert.equal((await served.send('GET', '/v2/', { basic: BASIC })).status, 200);
      for (let i = 0; i < 6; i++) await served.send('GET', '/v2/', { basic: `bob:wrong-${i}` });
      assert.equal((await served.send('GET', '/v2/', { basic: 'bob:wrong' })).status, 429);
    });

    test('neither ends an upload nor takes what is there', async (t) => {
      const clock = new ManualClock(Date.now());
      const served = await serveRegistry(t, { clock, maintenance: { everyMs: 0 } });
      await served.registry.admin.createProject('a');
      await served.registry.admin.setPolicy('a', {
        retention: [{ tags: '*', keepDays: 3 }],
        untaggedDays: 3,
      });
      await pushImage(served, 'a', 'v1');
      const location = (await served.send('POST', '/v2/a/blobs/uploads/')).headers.get('location') ?? '';
      await served.send('PATCH', location, { body: 'half ' });
      clock.set(clock.now() + leap);
      assert.deepEqual(await served.registry.maintenance.retain(signal, { dryRun: false }), []);
      const report = await served.registry.maintenance.collect(signal);
      assert.deepEqual([report.sweptUploads, report.removedBlobs, report.busy], [0, 0, false]);
      assert.equal((await served.send('PATCH', location, { body: 'whole' })).status, 202);
      const done = await served.send('PUT', `${location}?digest=${sha256('half whole')}`);
      assert.equal(done.status, 201);
      assert.equal((await served.send('HEAD', '/v2/a/manifests/v1')).status, 200);
      assert.deepEqual((await served.registry.maintenance.scrub(signal)).damaged, []);
    });

    test('leaves robots, refresh tokens and signing keys as they are', async (t) => {
      const { served, clock } = await guarded(t);
      await served.registry.admin.createProject('p');
      const robot = await served.registry.robots.create('p', 'ci', 'developer', { lifetimeMs: 30 * DAY });
      const query = '/token?offline_token=true&client_id=docker&service=drayage';
      const issued = await served.send('GET', query, { basic: BASIC });
      const { refresh_token: refresh } = (await issued.json()) as { refresh_token: string };
      clock.set(clock.now() + leap);
      const basic = `${robot.name}:${robot.secret}`;
      assert.equal((await served.send('POST', '/v2/p/x/blobs/uploads/', { basic })).status, 202);
      const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refresh }).toString();
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      assert.equal((await served.send('POST', '/token', { body, headers })).status, 200);
    });
  });
}

describe('dray registry gc beside a registry that serves', () => {
  const WEEK = 7 * DAY;

  test('throws away uploads that nobody wrote to for a week, and none that goes on, however old it is', async (t) => {
    const clock = new ManualClock(Date.now() - 2 * WEEK);
    const served = await serveRegistry(t, { clock, maintenance: { everyMs: 0 } });
    const begun = async (): Promise<string> => {
      const location = (await served.send('POST', '/v2/a/blobs/uploads/')).headers.get('location') ?? '';
      await served.send('PATCH', location, { body: 'begun' });
      return location;
    };
    const [left, goesOn, hangs] = [await begun(), await begun(), await begun()];
    clock.set(Date.now());
    assert.equal((await served.send('PATCH', goesOn, { body: ' and' })).status, 202);
    const socket = connect(served.registry.port, '127.0.0.1');
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.write(`PATCH ${hangs} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nConnection: close\r\n\r\n and`);
    for (let range = ''; range !== '0-8';) {
      range = (await served.send('GET', hangs)).headers.get('range') ?? '';
    }
    const outcome = await runDray(['registry', 'gc', '--directory', served.directory, '-o', 'json']);
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.equal((JSON.parse(outcome.stdout) as { sweptUploads: number }).sweptUploads, 1);
    assert.equal((await served.send('GET', left)).status, 404);
    const ended = once(socket, 'close');
    socket.write(' on.\n');
    socket.resume();
    await ended;
    for (const [location, whole] of [
      [goesOn, 'begun and'],
      [hangs, 'begun and on.\n'],
    ] as const) {
      const done = await served.send('PUT', `${location}?digest=${sha256(whole)}`);
      assert.equal(done.status, 201, await done.text());
    }
    assert.deepEqual(await readdir(join(served.directory, 'content', 'ingest')), []);
  });

  test('that is killed in the middle of a sweep stops no push for longer than a minute', async (t) => {
    const clock = new ManualClock(Date.now());
    const served = await serveRegistry(t, { clock, maintenance: { everyMs: 0 } });
    const digest = await served.pushBlob('a', 'swept');
    // What a collector that died between two statements leaves behind.
    const database = new DatabaseSync(join(served.directory, 'registry.db'));
    database.exec(`DELETE FROM blob_link; DELETE FROM blob;
      INSERT INTO condemned (digest, since, sweeping_at) VALUES ('${digest}', ${clock.now()}, ${clock.now()});
      INSERT INTO lease (name, holder, until) VALUES ('collect', 'dead', ${clock.now() + 60_000})`);
    database.close();
    const push = served.send('POST', `/v2/a/blobs/uploads/?digest=${digest}`, { body: 'swept' });
    let waiting = true;
    const settled = push.finally(() => {
      waiting = false;
    });
    while (waiting) await clock.advance(20);
    assert.equal((await settled).status, 503);
    clock.set(clock.now() + 61_000);
    assert.equal(await served.pushBlob('a', 'swept'), digest);
    assert.equal((await served.registry.maintenance.collect(signal)).removedBlobs, 0);
    assert.equal(await (await served.send('GET', `/v2/a/blobs/${digest}`)).text(), 'swept');
  });
});
