import { test } from 'node:test';
import assert from 'node:assert/strict';
import { nodeImages, type NodeImage } from '../node/node-images.ts';
import { MemoryRuntime } from './_manager-fixture.ts';
import { imageLocalityScore, imageStates, localityName } from './image-locality.ts';
import { podCredentialsOf } from './pull-candidate.ts';
import { readNodeImages } from './read-node-images.ts';
import { secretCandidate } from './_manager-fixture.ts';

const NEVER = new AbortController().signal;
const MIB = 1024 * 1024;

test('13.1 the largest images come first, equals by ID descending, as many as configured', () => {
  const image = (id: string, size: number) => ({ id, size, repoTags: [id], repoDigests: [], pinned: false });
  const images = [image('a', 1), image('b', 5), image('c', 5), image('d', 9)];
  const names = (max: number): (string | undefined)[] =>
    nodeImages(images, max).map((found) => found.names[0]);
  assert.deepEqual(names(-1), ['d', 'c', 'b', 'a']);
  assert.deepEqual(names(2), ['d', 'c']);
  assert.deepEqual(names(0), []);
});

test('13.2 of the names five are told, digests first', () => {
  const image = {
    id: 'a',
    size: 1,
    pinned: false,
    repoTags: ['t1', 't2', 't3'],
    repoDigests: ['d1', 'd2', 'd3'],
  };
  assert.deepEqual(nodeImages([image], -1)[0]?.names, ['d1', 'd2', 'd3', 't1', 't2']);
});

test('13.3 when the runtime cannot list, the field is empty and the error told', async () => {
  const runtime = new MemoryRuntime();
  runtime.images.set('x', { id: 'x', size: 1, repoTags: ['x:1'], repoDigests: [], pinned: false });
  assert.deepEqual(await readNodeImages(runtime, 50, NEVER), { images: [{ names: ['x:1'], sizeBytes: 1 }] });
  runtime.listImages = () => Promise.reject(new Error('away'));
  assert.deepEqual(await readNodeImages(runtime, 50, NEVER), {
    images: [],
    error: 'error getting image list: away',
  });
});

test('13.4 the scheduler compares names as they are, adding latest after the last slash only', () => {
  assert.equal(localityName('busybox'), 'busybox:latest');
  assert.equal(localityName('localhost:5000/x'), 'localhost:5000/x:latest');
  assert.equal(localityName('a/b:1'), 'a/b:1');
  assert.equal(localityName('a/b@sha256:00'), 'a/b@sha256:00');
});

test('13.4 a node scores by the bytes that it has, scaled by how many nodes have them', () => {
  const has = (...images: [string, number][]): NodeImage[] =>
    images.map(([name, mib]) => ({ names: [name], sizeBytes: mib * MIB }));
  const states = imageStates(
    new Map([
      ['full', has(['big:1', 1000], ['small:1', 10])],
      ['half', has(['big:1', 1000])],
      ['empty', has()],
      ['lone', has(['rare:1', 1000])],
    ]),
  );
  const score = (node: string, ...images: string[]): number =>
    imageLocalityScore({ containers: images.map((image, i) => ({ name: `c${i}`, image })) }, node, states);
  // Half of the nodes have it: 500 MiB of the bounds 23 and 1000.
  assert.equal(score('full', 'big:1'), Math.trunc((100 * (500 - 23)) / (1000 - 23)));
  assert.equal(score('lone', 'rare:1'), Math.trunc((100 * (250 - 23)) / (1000 - 23)));
  assert.equal(score('empty', 'big:1'), 0);
  assert.equal(score('full', 'small:1'), 0, 'below 23 MiB nothing counts');
  assert.equal(score('half', 'big:1', 'other:1'), Math.trunc((100 * (500 - 23)) / (2000 - 23)));
  const spec = {
    initContainers: [{ name: 'i', image: 'big:1' }],
    containers: [{ name: 'c', image: 'x:1' }],
    volumes: [{ name: 'v', image: { reference: 'big:1' } }],
  };
  assert.equal(imageLocalityScore(spec, 'half', states), Math.trunc((100 * (1000 - 23)) / (3000 - 23)));
});

test('3.13 of a Pod’s candidates only secrets and the first service account can be compared with records', () => {
  const account = (uid: string) => ({
    ...secretCandidate('x'),
    source: { kind: 'service-account', namespace: 'ns', name: 'sa', uid, provider: 'ecr' } as const,
  });
  const found = podCredentialsOf([
    { ...secretCandidate('x'), source: { kind: 'node-file', path: '/config.json' } },
    { ...secretCandidate('x'), source: { kind: 'provider', provider: 'gcr' } },
    account('first'),
    secretCandidate('reg'),
    account('second'),
  ]);
  assert.deepEqual(found.serviceAccount, { uid: 'first', namespace: 'ns', name: 'sa' });
  assert.deepEqual(
    found.secrets.map(({ name }) => name),
    ['reg'],
  );
});
