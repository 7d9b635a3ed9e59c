import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runtimeOf, statusOf } from './_container-fixture.ts';
import { imagesInUse } from './images-in-use.ts';
import { ReasonCache } from './reason-cache.ts';

test('3.39 11.4 images of containers, running or ended, and of their image volumes are in use', async () => {
  const mount = { hostPath: '', containerPath: '/v', readonly: true };
  const runtime = runtimeOf({
    listContainers: () =>
      Promise.resolve([
        statusOf('a', {
          mounts: [
            { ...mount, image: 'data' },
            { ...mount, hostPath: '/host' },
          ],
        }),
        statusOf('b', { state: 'exited' }),
      ]),
  });
  const used = await imagesInUse(runtime, new AbortController().signal);
  assert.deepEqual([...used].toSorted(), ['data', 'image-of-a', 'image-of-b']);
});

test('4.13 the reasons of a thousand containers are remembered, those looked at last', () => {
  const reasons = new ReasonCache();
  for (let index = 0; index < 1000; index++)
    reasons.set('u', `c${index}`, { reason: 'ErrImagePull', message: '' });
  assert.ok(reasons.get('u', 'c0') !== undefined);
  reasons.set('u', 'c1000', { reason: 'ErrImagePull', message: '' });
  assert.ok(reasons.get('u', 'c0') !== undefined);
  assert.equal(reasons.get('u', 'c1'), undefined);
  reasons.remove('u', 'c0');
  assert.equal(reasons.get('u', 'c0'), undefined);
});
