import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { answer, ask, IMAGE, login, plugins, prints, V1 } from '../../../test/support/plugin-scripts.ts';
import { describeSource, lookup } from '../keyring.ts';
import { PLUGIN_TIMEOUT_MS } from './_exec-plugin.ts';

const never = new AbortController().signal;

test('9.7 all providers that match run in order and share one keyring', async (t) => {
  const { make, ran } = await plugins(t, {
    a: prints(answer({ auth: { 'r.io': { username: 'a', password: '' } } })),
    b: prints(
      answer({
        auth: { 'r.io': { username: 'b', password: '' }, 'r.io/team': { username: 'b2', password: '' } },
      }),
    ),
    c: prints(answer()),
  });
  const providers = make([
    { name: 'a' },
    { name: 'c', matchImages: ['other.io'] },
    { name: 'b', matchImages: ['x.io', '*.io'] },
  ]);
  const { result, trace } = await providers.entriesFor(IMAGE, undefined, never);
  assert.deepEqual(await ran(), ['a', 'b']);
  assert.deepEqual(
    lookup(result, IMAGE).map((c) => `${c.username} ${describeSource(c.source)}`),
    ['b2 credential provider b', 'a credential provider a', 'b credential provider b'],
  );
  assert.ok(
    trace.some(
      (s) => s.says === 'matchImages "other.io" does not match: host label "other" does not match "r"',
    ),
  );
});

test('9.8 a plug-in gets arguments, the environment with the configured one over it, and the request', async (t) => {
  const { make, binDirectory } = await plugins(t, {
    a: `{ echo "$@"; echo "$KEPT $CHANGED $NEW"; cat; } > "$(dirname "$0")/seen"\n${prints(answer())}`,
  });
  const providers = make(
    [
      {
        args: ['get', '--x=1'],
        env: [
          { name: 'CHANGED', value: 'configured' },
          { name: 'NEW', value: 'new' },
        ],
      },
    ],
    { environment: { PATH: process.env['PATH'], KEPT: 'kept', CHANGED: 'node' } },
  );
  assert.equal((await ask(providers)).error, undefined);
  assert.equal(
    await readFile(join(binDirectory, 'seen'), 'utf8'),
    `get --x=1\nkept configured new\n{"kind":"CredentialProviderRequest","apiVersion":"${V1}","image":"${IMAGE}"}\n`,
  );
});

test('9.8 a plug-in that runs longer than a minute is killed with what it started', async (t) => {
  const { make, clock, binDirectory } = await plugins(t, {
    a: `sleep 600 &\necho $! > "$(dirname "$0")/child.new"; mv "$(dirname "$0")/child.new" "$(dirname "$0")/child"; wait`,
  });
  const failures: string[] = [];
  const asked = ask(make([{}], { observer: { failed: (_, message) => failures.push(message) } }));
  const child = await poll(() => readFile(join(binDirectory, 'child'), 'utf8').catch(() => undefined));
  await clock.advance(PLUGIN_TIMEOUT_MS);
  const outcome = await asked;
  assert.equal(
    outcome.error?.message,
    `error execing credential provider plugin a for image ${IMAGE}: context deadline exceeded: `,
  );
  assert.deepEqual(failures, [outcome.error?.message]);
  // Dead, or dead and not yet collected by its new parent.
  const gone = await poll(async () => {
    const status = await readFile(`/proc/${child.trim()}/stat`, 'utf8').catch(() => 'gone');
    return status === 'gone' || / Z /.test(status) ? true : undefined;
  });
  assert.ok(gone);
});

/** Waits for something that another process brings about. */
async function poll<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('9.8 a plug-in that does not read its request and one that floods are survived', async (t) => {
  const { make } = await plugins(t, {
    quick: `exec 0<&-\n${prints(answer())}`,
    flood: 'yes | head -c 6000000',
  });
  assert.equal((await ask(make([{ name: 'quick' }], {}))).error, undefined);
  assert.match((await ask(make([{ name: 'flood' }]))).error?.message ?? '', /answer is longer than/);
});

test('9.11 a provider that fails gives nothing, says why, and the others still answer', async (t) => {
  const { make } = await plugins(t, {
    bad: 'echo "no metadata; password=S3CRET" >&2; exit 3',
    good: prints(answer()),
    odd: prints(answer({ cacheKeyType: 'Sometimes' })),
  });
  const executed: [string, boolean][] = [];
  const providers = make([{ name: 'bad' }, { name: 'missing' }, { name: 'odd' }, { name: 'good' }], {
    observer: { executed: (name, _, failed) => executed.push([name, failed]) },
  });
  const outcomes = await providers.ask(IMAGE, undefined, never);
  assert.deepEqual(
    outcomes.map((o) => o.error?.message.replaceAll(/\S*\/missing/g, 'PATH/missing')),
    [
      `error execing credential provider plugin bad for image ${IMAGE}: exit status 3: no metadata; password=[redacted]\n`,
      `error execing credential provider plugin missing for image ${IMAGE}: fork/exec PATH/missing: no such file or directory: `,
      'credential provider plugin did not return a valid cacheKeyType: "Sometimes"',
      undefined,
    ],
  );
  assert.deepEqual(executed, [
    ['bad', true],
    ['missing', true],
    ['odd', false],
    ['good', false],
  ]);
  assert.deepEqual(
    outcomes.map((o) => o.auth.size),
    [0, 0, 0, 1],
  );
});

test('9.11 what cannot even be handed to a program is refused without being quoted', async (t) => {
  const { make } = await plugins(t, { a: prints(answer()) });
  for (const config of [{ args: ['S3CRET\0'] }, { env: [{ name: 'TOKEN', value: 'S3CRET\0' }] }]) {
    const { error } = await ask(make([config]));
    assert.match(error?.message ?? '', /fork\/exec \S+: invalid argument: $/);
  }
});

test('9.12 answered keys are entries like any other; one that does not match the image is unused', async (t) => {
  const { make } = await plugins(t, {
    a: prints(
      answer({ auth: { '*.io/team': login, 'https://index.docker.io/v1/': login, 'r.io:port': login } }),
    ),
  });
  const { result } = await make([{}]).entriesFor(IMAGE, undefined, never);
  assert.deepEqual(
    result.map((e) => e.key),
    ['*.io/team', 'index.docker.io'],
  );
  assert.deepEqual(
    lookup(result, IMAGE).map((c) => c.key),
    ['*.io/team'],
  );
});

test('close ends the plug-ins that run', async (t) => {
  const { make, ran } = await plugins(t, { a: 'sleep 600' });
  const providers = make([{}]);
  const asked = ask(providers);
  while ((await ran()).length === 0) await new Promise((resolve) => setImmediate(resolve));
  providers.close();
  assert.match((await asked).error?.message ?? '', /context canceled/);
});
