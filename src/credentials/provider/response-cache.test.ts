import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { answer, ask, IMAGE, plugins, prints } from '../../../test/support/plugin-scripts.ts';

const never = new AbortController().signal;

const scopes: [cacheKeyType: string, image: string, cachedFor: string[], notFor: string[]][] = [
  ['Image', IMAGE, [IMAGE], ['r.io/team/other']],
  ['Registry', IMAGE, [IMAGE, 'r.io/team/other'], ['a.io/team/app']],
  ['Global', IMAGE, [IMAGE, 'a.io/x'], []],
];
for (const [cacheKeyType, image, cachedFor, notFor] of scopes) {
  test(`9.13 an answer for ${cacheKeyType} is reused for that and nothing else`, async (t) => {
    const { make } = await plugins(t, { a: prints(answer({ cacheKeyType, cacheDuration: '1h' })) });
    const providers = make([{ matchImages: ['*.io'] }]);
    assert.equal((await ask(providers, image)).from, 'exec');
    for (const other of cachedFor) assert.equal((await ask(providers, other)).from, 'cache', other);
    for (const other of notFor) assert.equal((await ask(providers, other)).from, 'exec', other);
  });
}

test('9.13 each provider has its own cache, good until after its expiry', async (t) => {
  const { make, clock, ran } = await plugins(t, {
    a: prints(answer({ cacheDuration: '10m' })),
    b: prints(answer({ cacheDuration: '20m' })),
  });
  const providers = make([{ name: 'a' }, { name: 'b' }]);
  await providers.ask(IMAGE, undefined, never);
  await clock.advance(10 * 60_000);
  await providers.ask(IMAGE, undefined, never);
  assert.deepEqual(await ran(), ['a', 'b']);
  await clock.advance(1);
  const outcomes = await providers.ask(IMAGE, undefined, never);
  assert.deepEqual(
    outcomes.map((o) => o.from),
    ['exec', 'cache'],
  );
});

const durations: [
  name: string,
  cacheDuration: string | undefined,
  defaultMs: number,
  expiresInMs: number | undefined,
][] = [
  ['zero is not cached, whatever the default', '0s', 1000, undefined],
  ['absent takes the default', undefined, 90_000, 90_000],
  ['absent with a default of zero is not cached', undefined, 0, undefined],
  ['given wins over the default', '5s', 90_000, 5000],
  ['the longest duration there is', '2562047h', 0, 9_223_369_200_000],
];
for (const [name, cacheDuration, defaultCacheDurationMs, expiresInMs] of durations) {
  test(`9.14 cacheDuration: ${name}`, async (t) => {
    const { make, clock } = await plugins(t, {
      a: prints(answer(cacheDuration === undefined ? {} : { cacheDuration })),
    });
    const outcome = await ask(make([{ defaultCacheDurationMs }]));
    assert.equal(
      outcome.cache === undefined ? undefined : outcome.cache.expiresAt - clock.now(),
      expiresInMs,
    );
  });
}

test('9.15 concurrent requests for one image share one run; who gives up does not end it for the others', async (t) => {
  const { make, ran, binDirectory } = await plugins(t, {
    a: `while [ ! -e "$(dirname "$0")/go" ]; do sleep 0.01; done\n${prints(answer())}`,
  });
  const providers = make([{}]);
  const impatient = new AbortController();
  const given = assert.rejects(providers.ask(IMAGE, undefined, impatient.signal), { message: 'enough' });
  const others = [1, 2, 3].map(() => providers.ask(IMAGE, undefined, never));
  while ((await ran()).length === 0) await new Promise((resolve) => setImmediate(resolve));
  impatient.abort(new Error('enough'));
  await given;
  await writeFile(join(binDirectory, 'go'), '');
  for (const outcomes of await Promise.all(others)) assert.equal(outcomes[0]?.auth.size, 1);
  assert.deepEqual(await ran(), ['a']);
});

test('9.16 an empty answer is cached too', async (t) => {
  const { make, ran } = await plugins(t, { a: prints(answer({ auth: {}, cacheDuration: '1h' })) });
  const providers = make([{}]);
  await ask(providers);
  assert.equal((await ask(providers)).from, 'cache');
  assert.deepEqual(await ran(), ['a']);
});
