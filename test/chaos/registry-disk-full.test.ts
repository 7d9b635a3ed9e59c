import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import {
  errorCodes,
  manifestOf,
  OCI_MANIFEST,
  pushImage,
  serveRegistry,
  sha256,
} from '../support/serve-registry.ts';
import { mountSmallDisk } from '../support/small-disk.ts';

const DISK_BYTES = 24 * 1024 * 1024;
const MIB = 1024 * 1024;
const HOUR = 3_600_000;
const signal = new AbortController().signal;

test('a registry whose disk is really full refuses with 507, serves what it has, and goes on when there is room', async (t) => {
  const disk = await mountSmallDisk(DISK_BYTES);
  if ('unavailable' in disk) {
    t.skip(disk.unavailable);
    return;
  }
  t.after(() => disk.unmount());
  const clock = new ManualClock(Date.now());
  const served = await serveRegistry(t, {
    directory: join(disk.path, 'registry'),
    clock,
    maintenance: { everyMs: 0, delayMs: HOUR },
  });
  const kept = await pushImage(served, 'a', 'kept', ['kept layer']);
  const begun = await served.send('POST', '/v2/a/blobs/uploads/');
  const location = begun.headers.get('location') ?? '';
  assert.equal((await served.send('PATCH', location, { body: randomBytes(MIB) })).status, 202);

  const filled: string[] = [];
  let refused: Response | undefined;
  while (refused === undefined) {
    const content = randomBytes(3 * MIB);
    const path = `/v2/a/blobs/uploads/?digest=${sha256(content)}`;
    const answer = await served.send('POST', path, { body: content });
    if (answer.status === 201) filled.push(sha256(content));
    else refused = answer;
  }
  assert.ok(filled.length > 3);
  assert.equal(refused.status, 507);
  assert.deepEqual(await errorCodes(refused), ['DENIED']);
  for (let full = false; !full;) {
    const answer = await served.send('PATCH', location, { body: randomBytes(MIB / 4) });
    await answer.arrayBuffer();
    full = answer.status === 507;
  }
  // Nothing of a push in one request is left, and the upload has what had room.
  assert.equal((await readdir(join(served.directory, 'content', 'ingest'))).length, 1);
  assert.equal(
    (await served.send('HEAD', '/v2/a/manifests/kept')).headers.get('docker-content-digest'),
    kept,
  );
  assert.equal(await (await served.send('GET', `/v2/a/blobs/${sha256('kept layer')}`)).text(), 'kept layer');
  const manifest = JSON.stringify({ ...manifestOf('{}', []), annotations: { a: 'x'.repeat(2 * MIB) } });
  const headers = { 'content-type': OCI_MANIFEST };
  const put = await served.send('PUT', '/v2/a/manifests/large', { body: manifest, headers });
  assert.ok([404, 507].includes(put.status), `${put.status}`);

  assert.equal((await served.send('DELETE', location)).status, 204);
  for (const digest of filled)
    assert.equal((await served.send('DELETE', `/v2/a/blobs/${digest}`)).status, 202);
  await clock.advance(2 * HOUR);
  const report = await served.registry.maintenance.collect(signal);
  assert.ok(report.freedBytes >= filled.length * 3 * MIB, `freed ${report.freedBytes}`);
  await served.pushBlob('a', randomBytes(6 * MIB));
  assert.deepEqual((await served.registry.maintenance.scrub(signal)).damaged, []);
  assert.deepEqual(await readdir(join(served.directory, 'content', 'ingest')), []);
});
