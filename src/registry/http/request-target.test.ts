import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { RegistryError } from '../registry-error.ts';
import { isRepositoryName } from '../repository-name.ts';
import { parseRequestTarget } from './request-target.ts';

const RUNS = Math.min(30_000, Number(process.env['FUZZ_RUNS'] ?? 1_000));
const DIGEST = `sha256:${'a'.repeat(64)}`;
const ID = '01234567-89ab-cdef-0123-456789abcdef';

const component = fc
  .array(fc.stringMatching(/^[a-z0-9]{1,5}$/), { minLength: 1, maxLength: 3 })
  .chain((words) => fc.constantFrom('.', '_', '__', '-', '---').map((separator) => words.join(separator)));
const name = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

describe('parseRequestTarget', () => {
  const cases: readonly [method: string, target: string, kind: string][] = [
    ['GET', '/v2/', 'ping'],
    ['HEAD', '/v2', 'ping'],
    ['GET', '/v2/_catalog?n=5', 'catalog'],
    ['GET', '/v2/a/b/tags/list', 'tags'],
    ['HEAD', '/v2/a/manifests/v1', 'getManifest'],
    ['PUT', `/v2/a/manifests/${DIGEST}?tag=x&tag=y`, 'putManifest'],
    ['DELETE', '/v2/a/manifests/v1', 'deleteManifest'],
    ['GET', `/v2/a/blobs/${DIGEST.replace(':', '%3A')}`, 'getBlob'],
    ['DELETE', `/v2/a/blobs/${DIGEST}`, 'deleteBlob'],
    ['POST', '/v2/a/blobs/uploads/', 'startUpload'],
    ['POST', '/v2/a/blobs/uploads', 'startUpload'],
    ['POST', `/v2/a/blobs/uploads/?digest=${DIGEST}`, 'pushBlob'],
    ['POST', `/v2/a/blobs/uploads/?mount=${DIGEST}&from=b`, 'mountBlob'],
    ['POST', '/v2/a/blobs/uploads/?mount=nonsense', 'startUpload'],
    ['PATCH', `/v2/a/blobs/uploads/${ID}`, 'appendUpload'],
    ['PUT', `/v2/a/blobs/uploads/${ID}?digest=${DIGEST}`, 'finishUpload'],
    ['DELETE', `/v2/a/blobs/uploads/${ID}`, 'cancelUpload'],
    ['GET', `/v2/a/referrers/${DIGEST}`, 'referrers'],
    ['GET', '/v2/blobs/uploads/tags/list', 'tags'],
    ['GET', '/v2/manifests/manifests/manifests', 'getManifest'],
  ];
  for (const [method, target, kind] of cases) {
    test(`${method} ${target} is ${kind}`, () => {
      assert.equal(parseRequestTarget(method, target).kind, kind);
    });
  }

  test('a name is found whatever words it is made of', () => {
    const words = fc.constantFrom('blobs', 'uploads', 'manifests', 'tags', 'list', 'referrers', 'v2');
    const anyName = fc.oneof(
      name,
      fc.array(words, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
    );
    fc.assert(
      fc.property(anyName, (repository) => {
        for (const tail of [`manifests/${DIGEST}`, `referrers/${DIGEST}`, 'tags/list']) {
          const parsed = parseRequestTarget('GET', `/v2/${repository}/${tail}`);
          assert.equal('repository' in parsed ? parsed.repository : undefined, repository);
        }
      }),
      { numRuns: RUNS },
    );
  });

  test('whatever comes, the answer is a request whose name is one, or a coded error', () => {
    const nasty = fc.constantFrom(
      '..',
      '%2e%2e',
      '%2f',
      '%00',
      '\\',
      '//',
      ';',
      '%',
      'blobs',
      'uploads',
      DIGEST,
      '?n=-1',
      '#',
    );
    const target = fc
      .array(fc.oneof(nasty, fc.string({ maxLength: 8 })))
      .map((parts) => `/v2/${parts.join('/')}`);
    fc.assert(
      fc.property(
        fc.constantFrom('GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'TRACE'),
        target,
        (method, text) => {
          try {
            const parsed = parseRequestTarget(method, text);
            if ('repository' in parsed) assert.ok(isRepositoryName(parsed.repository));
          } catch (error) {
            assert.ok(error instanceof RegistryError, String(error));
            assert.ok(error.status >= 400 && error.status < 500);
          }
        },
      ),
      { numRuns: RUNS },
    );
  });
});
