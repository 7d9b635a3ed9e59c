import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { systemClock, type Clock } from '../../base/clock.ts';
import {
  changeKubeconfig,
  mergeEntry,
  MergeError,
  removeEntry,
  serverOfEntry,
  usualKubeconfig,
} from './merge-kubeconfig.ts';

const entry = { name: 'drayage', cluster: { server: 'https://127.0.0.1:6443' }, user: { token: 't' } };
const others = `# kept by hand
apiVersion: v1
kind: Config
current-context: work
clusters:
- name: work # the real one
  cluster: {server: https://work.example}
users: []
contexts: null
`;

interface Config {
  'current-context': string;
  clusters: { name: string; cluster: { server: string } }[];
  contexts: { name: string; context: { cluster: string; user: string } }[];
  users: { name: string; user: { token: string } }[];
}

function temporary(t: { after: (fn: () => void) => void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'drayage-kubeconfig-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('an entry joins what is there: comments, other clusters and the current context stay', () => {
  const text = mergeEntry(others, entry, false);
  assert.match(text, /# kept by hand/);
  assert.match(text, /# the real one/);
  const config = parse(text) as Config;
  assert.equal(config['current-context'], 'work');
  assert.deepEqual(
    config.clusters.map(({ name }) => name),
    ['work', 'drayage'],
  );
  assert.deepEqual(config.contexts, [{ context: { cluster: 'drayage', user: 'drayage' }, name: 'drayage' }]);
  assert.equal((parse(mergeEntry(others, entry, true)) as Config)['current-context'], 'drayage');
});

test('merging again replaces the entry in its place, and removing it leaves what was there before', () => {
  const once = mergeEntry(others, entry, true);
  const moved = mergeEntry(once, { ...entry, cluster: { server: 'https://127.0.0.1:7443' } }, false);
  const config = parse(moved) as Config;
  assert.equal(config.clusters.length, 2);
  assert.equal(config.clusters[1]?.cluster.server, 'https://127.0.0.1:7443');
  const removed = parse(removeEntry(moved, 'drayage')) as Config;
  assert.deepEqual([removed.clusters.length, removed.users.length, removed.contexts.length], [1, 0, 0]);
  assert.equal(removed['current-context'], '');
});

test('the namespace that people chose in a context stays when the entry is merged again', () => {
  const chosen = mergeEntry(undefined, entry, true).replace(/^( +)user: drayage$/m, '$&\n$1namespace: team');
  const config = parse(mergeEntry(chosen, entry, false)) as Config;
  assert.deepEqual(config.contexts[0]?.context, { cluster: 'drayage', user: 'drayage', namespace: 'team' });
  assert.equal(serverOfEntry(chosen, 'drayage'), 'https://127.0.0.1:6443');
  assert.equal(serverOfEntry(chosen, 'other'), undefined);
});

test('an entry that is not there cannot be removed', () => {
  assert.throws(() => removeEntry(others, 'drayage'), { code: 'ABSENT' });
});

test('an empty or absent file becomes a whole kubeconfig whose current context is the entry', () => {
  for (const text of [undefined, '', '\n']) {
    const config = parse(mergeEntry(text, entry, false)) as Config;
    assert.equal(config['current-context'], 'drayage');
    assert.equal(config.users[0]?.user.token, 't');
  }
});

test('a file that is not a kubeconfig is refused and left alone', async (t) => {
  const path = join(temporary(t), 'config');
  const signal = AbortSignal.timeout(10_000);
  for (const text of ['- a list\n', 'clusters: 7\n', 'a: [\n']) {
    writeFileSync(path, text);
    await assert.rejects(
      changeKubeconfig(path, (held) => mergeEntry(held, entry, false), systemClock, signal),
      (error) => error instanceof MergeError && error.code === 'MALFORMED',
    );
    assert.equal(readFileSync(path, 'utf8'), text);
  }
});

test('a kubeconfig is changed behind a link, readable by its owner only, and the lock goes', async (t) => {
  const directory = temporary(t);
  const real = join(directory, 'real');
  const link = join(directory, 'config');
  writeFileSync(real, others, { mode: 0o644 });
  symlinkSync(real, link);
  await changeKubeconfig(
    link,
    (held) => mergeEntry(held, entry, false),
    systemClock,
    AbortSignal.timeout(10_000),
  );
  assert.match(readFileSync(real, 'utf8'), /drayage/);
  assert.equal(statSync(real).mode & 0o777, 0o600);
  assert.throws(() => statSync(`${link}.lock`), /ENOENT/);
});

test("kubectl's lock is waited for", async (t) => {
  const path = join(temporary(t), 'config');
  writeFileSync(`${path}.lock`, '');
  const clock: Clock = {
    now: () => 0,
    sleep: () => {
      rmSync(`${path}.lock`, { force: true });
      return Promise.resolve();
    },
  };
  await changeKubeconfig(path, (held) => mergeEntry(held, entry, false), clock, AbortSignal.timeout(10_000));
  assert.match(readFileSync(path, 'utf8'), /drayage/);
});

test('a lock that stays is named', async (t) => {
  const path = join(temporary(t), 'config');
  writeFileSync(`${path}.lock`, '');
  const clock: Clock = { now: () => 0, sleep: () => Promise.resolve() };
  await assert.rejects(
    changeKubeconfig(path, () => 'x', clock, AbortSignal.timeout(10_000)),
    (error) =>
      error instanceof MergeError && error.code === 'LOCKED' && error.message.includes(`${path}.lock`),
  );
});

test('the usual file is the first of $KUBECONFIG that is there, else its last, else that of the home', async (t) => {
  const directory = temporary(t);
  const [a, b] = [join(directory, 'a'), join(directory, 'b')];
  assert.equal(await usualKubeconfig({ KUBECONFIG: `${a}:${b}` }), b);
  writeFileSync(b, others);
  assert.equal(await usualKubeconfig({ KUBECONFIG: `:${a}:${b}` }), b);
  writeFileSync(a, others);
  assert.equal(await usualKubeconfig({ KUBECONFIG: `${a}:${b}` }), a);
  assert.equal(await usualKubeconfig({ HOME: directory }), join(directory, '.kube', 'config'));
});
