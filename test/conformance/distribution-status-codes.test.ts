import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { errorCodes, pushImage, serveRegistry } from '../support/serve-registry.ts';
import { BLOB_ROWS } from './_blob-status-rows.ts';
import { MANIFEST_ROWS } from './_manifest-status-rows.ts';
import type { Setting } from './_status-rows.ts';

/*
 * Every status that the table of endpoints of the distribution specification names, and every one of its error codes, with
 * a request that is answered so. Tables below say what is documented; the last tests hold the two against each other.
 *
 * @see OCI distribution-spec v1.1.1, "Endpoints" and "Error Codes"
 */

const DOCUMENTED: Readonly<Record<string, readonly number[]>> = {
  'end-1': [200, 401, 404],
  'end-2': [200, 404],
  'end-3': [200, 404],
  'end-4a': [202, 404],
  'end-4b': [201, 202, 400, 404],
  'end-5': [202, 404, 416],
  'end-6': [201, 400, 404, 416],
  'end-7': [201, 404, 413],
  'end-8a': [200, 404],
  'end-8b': [200, 404],
  'end-9': [202, 400, 404, 405],
  'end-10': [202, 404, 405],
  'end-11': [201, 202, 404],
  'end-12a': [200, 400, 404],
  'end-12b': [200, 400, 404],
  'end-13': [204, 404],
};

const CODES = [
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'UNAUTHORIZED',
  'DENIED',
  'UNSUPPORTED',
  'TOOMANYREQUESTS',
];

const ROWS = [...BLOB_ROWS, ...MANIFEST_ROWS];

describe('the distribution specification', () => {
  const closers: (() => unknown)[] = [];
  const scope = { after: (close: () => unknown) => void closers.push(close) } as Parameters<
    typeof serveRegistry
  >[0];
  let setting: Setting;

  before(async () => {
    const open = await serveRegistry(scope);
    const guarded = await serveRegistry(scope, { auth: 'required' });
    const strict = await serveRegistry(scope, { deletes: false, sparseIndexes: false });
    const image = await pushImage(open, 'app', 'v1');
    await pushImage(strict, 'app', 'v1');
    await open.registry.admin.createProject('full');
    await open.registry.admin.setPolicy('full', { quotaBytes: 10 });
    await open.registry.admin.createProject('fixed');
    await open.registry.admin.setPolicy('fixed', { immutable: [{ tags: '*' }] });
    await guarded.registry.admin.addUser('alice', 'correct-horse');
    await guarded.registry.admin.createProject('p');
    await guarded.registry.admin.grantRole('p', 'alice', 'guest');
    setting = { open, guarded, strict, image };
  });

  after(async () => {
    for (const close of closers) await close();
  });

  for (const [end, name, status, code, request] of ROWS) {
    test(`${end}: ${name} is answered ${status}${code === undefined ? '' : ` ${code}`}`, async () => {
      const answer = await request(setting);
      assert.equal(answer.status, status, await answer.clone().text());
      if (code === undefined) {
        await answer.arrayBuffer();
        return;
      }
      assert.equal(answer.headers.get('content-type'), 'application/json');
      const codes = await errorCodes(answer);
      assert.deepEqual([...new Set(codes)], [code]);
    });
  }

  for (const [end, statuses] of Object.entries(DOCUMENTED)) {
    test(`${end} has a request for each documented status: ${statuses.join(', ')}`, () => {
      const tried = new Set(ROWS.filter(([tried]) => tried === end).map(([, , status]) => status));
      assert.deepEqual(
        [...tried].sort((a, b) => a - b),
        statuses,
      );
    });
  }

  test('each documented error code is answered to some request', () => {
    const answered = new Set(ROWS.map(([, , , code]) => code));
    assert.deepEqual(
      CODES.filter((code) => !answered.has(code)),
      [],
    );
  });
});
