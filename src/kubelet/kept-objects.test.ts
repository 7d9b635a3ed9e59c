import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeApiError } from '../kube/client/kube-api-error.ts';
import type { Secret } from '../kube/secret.ts';
import { keptObjects } from './kept-objects.ts';
import type { ObjectSource } from './object-source.ts';

const signal = new AbortController().signal;

/** A source whose reads of secrets the test answers one by one. */
function asked(): {
  objects: ObjectSource;
  reads: PromiseWithResolvers<Secret | undefined>[];
  ending: AbortController;
} {
  const reads: PromiseWithResolvers<Secret | undefined>[] = [];
  const ending = new AbortController();
  const source: ObjectSource = {
    secret: async () => {
      const read = Promise.withResolvers<Secret | undefined>();
      reads.push(read);
      return await read.promise;
    },
    configMap: () => Promise.resolve(undefined),
  };
  return { objects: keptObjects(source, ending.signal), reads, ending };
}

const secret = (value: string): Secret => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's', namespace: 'ns' },
  data: { value },
});

/** Lets what waits for something that has happened go on. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('those who ask while a secret is being read share the next read, so that none gets what was true before it asked', async () => {
  const { objects, reads } = asked();
  const first = objects.secret('ns', 's', signal);
  const later = [1, 2, 3].map(() => objects.secret('ns', 's', signal));
  assert.equal(reads.length, 1);
  reads[0]?.resolve(secret('old'));
  assert.equal((await first)?.data?.['value'], 'old');
  await settled();
  assert.equal(reads.length, 2);
  reads[1]?.resolve(secret('new'));
  for (const each of later) assert.equal((await each)?.data?.['value'], 'new');
  await settled();
  assert.equal(reads.length, 2);
});

test('another object is another read', async () => {
  const { objects, reads } = asked();
  void objects.secret('ns', 's', signal);
  void objects.secret('ns', 'other', signal);
  void objects.secret('other', 's', signal);
  assert.equal(reads.length, 3);
});

test('a read that fails does not fail the next', async () => {
  const { objects, reads } = asked();
  const first = objects.secret('ns', 's', signal);
  const second = objects.secret('ns', 's', signal);
  reads[0]?.reject(new KubeApiError('Transport', 'no answer'));
  await assert.rejects(first, { code: 'Transport' });
  await settled();
  reads[1]?.resolve(secret('there'));
  assert.equal((await second)?.data?.['value'], 'there');
});

for (const { what, code, stands } of [
  { what: 'an API that gives no answer', code: 'Transport', stands: true },
  { what: 'an API that is overwhelmed', code: 'TooManyRequests', stands: true },
  { what: 'a node that may read it no more', code: 'Forbidden', stands: false },
] as const) {
  test(`6.20 with ${what} the copy read last ${stands ? 'stands in' : 'is forgotten'}`, async () => {
    const { objects, reads } = asked();
    const first = objects.secret('ns', 's', signal);
    reads[0]?.resolve(secret('kept'));
    await first;
    await settled();
    const second = objects.secret('ns', 's', signal);
    reads[1]?.reject(new KubeApiError(code, 'not now'));
    if (stands) assert.equal((await second)?.data?.['value'], 'kept');
    else await assert.rejects(second, { code });
    await settled();
    const third = objects.secret('ns', 's', signal);
    reads[2]?.reject(new KubeApiError('Transport', 'no answer'));
    if (stands) assert.equal((await third)?.data?.['value'], 'kept');
    else await assert.rejects(third, { code: 'Transport' });
  });
}

test('an object that is gone has no copy', async () => {
  const { objects, reads } = asked();
  const first = objects.secret('ns', 's', signal);
  reads[0]?.resolve(secret('kept'));
  await first;
  await settled();
  const second = objects.secret('ns', 's', signal);
  reads[1]?.resolve(undefined);
  assert.equal(await second, undefined);
  await settled();
  const third = objects.secret('ns', 's', signal);
  reads[2]?.reject(new KubeApiError('Transport', 'no answer'));
  await assert.rejects(third, { code: 'Transport' });
});

test('whoever gives up waiting leaves the read to the others', async () => {
  const { objects, reads } = asked();
  const giving = new AbortController();
  const impatient = objects.secret('ns', 's', giving.signal);
  giving.abort(new Error('no time'));
  await assert.rejects(impatient, /no time/);
  const patient = objects.secret('ns', 's', signal);
  reads[0]?.resolve(secret('old'));
  await settled();
  reads[1]?.resolve(secret('new'));
  assert.equal((await patient)?.data?.['value'], 'new');
});
