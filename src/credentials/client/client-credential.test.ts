import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { loadClientCredential, podmanKeys } from './client-credential.ts';
import { CredentialHelper, defaultCredsStore } from './credential-helper.ts';
import { dockerConfigPath, loginPlaces, savingPlace } from './login-places.ts';
import { eraseLogin, saveLogin } from './save-login.ts';
import { asOrdinaryUser } from '../../../test/support/ordinary-user.ts';

const never = new AbortController().signal;
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const entry = (user: string): { auth: string } => ({ auth: base64(`${user}:pw`) });
const HUB = 'https://index.docker.io/v1/';

/** A helper that keeps its secrets in a file, as the protocol wants it. */
const HELPER = `#!/bin/sh
echo "$1" >> "$HOME/helper.log"
store="$HOME/kept.$(basename "$0")"
case "$1" in
get) read -r url; found="$(grep -F "\\"ServerURL\\":\\"$url\\"," "$store" 2>/dev/null)" || { echo "credentials not found in native keychain"; exit 1; }; echo "$found" ;;
store) read -r line; echo "$line" >> "$store" ;;
erase) read -r url; grep -vF "\\"ServerURL\\":\\"$url\\"," "$store" > "$store.new"; mv "$store.new" "$store" ;;
list) echo '{"https://r.io":"u","x":5}' ;;
esac
`;

async function home(
  t: TestContext,
  files: Record<string, unknown> = {},
  helpers: Record<string, string> = {},
) {
  const path = await mkdtemp(join(tmpdir(), 'drayage-client-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  await mkdir(join(path, 'bin'));
  for (const [name, script] of Object.entries(helpers))
    await writeFile(join(path, 'bin', name), script, { mode: 0o755 });
  const environment: NodeJS.ProcessEnv = {
    HOME: path,
    XDG_RUNTIME_DIR: join(path, 'run'),
    PATH: `${join(path, 'bin')}:/usr/bin:/bin`,
  };
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const find = async (host: string, repository = '', more: NodeJS.ProcessEnv = {}) =>
    loadClientCredential(host, repository, { environment: { ...environment, ...more }, signal: never, warn });
  return { path, environment, find, warnings };
}
const docker = '.docker/config.json';

test('6.23 the file is $DOCKER_CONFIG/config.json, else $HOME/.docker/config.json', () => {
  assert.equal(dockerConfigPath({ DOCKER_CONFIG: '/etc/d', HOME: '/h' }), '/etc/d/config.json');
  assert.equal(dockerConfigPath({ HOME: '/h' }), '/h/.docker/config.json');
});

test('6.23 Docker Hub is kept under its old URL, every other registry under its host', async (t) => {
  const { find, path } = await home(t, {
    [docker]: { auths: { [HUB]: entry('hub'), 'r.io:5000': entry('r') } },
  });
  for (const host of ['docker.io', 'index.docker.io', 'registry-1.docker.io']) {
    assert.deepEqual(await find(host), { name: join(path, docker), username: 'hub', password: 'pw' });
  }
  assert.equal((await find('r.io:5000'))?.username, 'r');
  assert.equal(await find('r.io'), undefined);
});

test('6.24 a helper of the registry goes before the store, and the store before the file', async (t) => {
  const config = {
    auths: { 'r.io': entry('file') },
    credHelpers: { 'r.io': 'one', [HUB]: 'one' },
    credsStore: 'two',
  };
  const answer = (user: string): string =>
    `#!/bin/sh\necho '{"ServerURL":"x","Username":"${user}","Secret":"pw"}'\n`;
  const { find } = await home(
    t,
    { [docker]: config },
    { 'docker-credential-one': answer('one'), 'docker-credential-two': answer('two') },
  );
  assert.deepEqual(await find('r.io'), { name: 'docker-credential-one', username: 'one', password: 'pw' });
  assert.equal((await find('docker.io'))?.username, 'one');
  assert.equal((await find('s.io'))?.username, 'two');
});

test('6.24 DOCKER_AUTH_CONFIG is asked first, the chosen store after it', async (t) => {
  const { find } = await home(t, { [docker]: { auths: { 'r.io': entry('file'), 's.io': entry('file') } } });
  const DOCKER_AUTH_CONFIG = JSON.stringify({ auths: { 'r.io': entry('env') } });
  assert.deepEqual(await find('r.io', '', { DOCKER_AUTH_CONFIG }), {
    name: 'DOCKER_AUTH_CONFIG',
    username: 'env',
    password: 'pw',
  });
  assert.equal((await find('s.io', '', { DOCKER_AUTH_CONFIG }))?.username, 'file');
});

for (const [name, text, message] of [
  ['unknown fields', '{"auths":{"r.io":{"auth":"","password":"S3CRET"}}}', 'json: unknown field "password"'],
  ['another top', '{"credsStore":"x"}', 'json: unknown field "credsStore"'],
  ['no JSON', 'S3CRET', "invalid character 'S' looking for beginning of value"],
  ['a bad auth', '{"auths":{"r.io":{"auth":"!"}}}', 'illegal base64 data at input byte 0'],
] as const) {
  test(`6.24 DOCKER_AUTH_CONFIG with ${name} is told and passed over`, async (t) => {
    const { find, warnings } = await home(t, { [docker]: { auths: { 'r.io': entry('file') } } });
    assert.equal((await find('r.io', '', { DOCKER_AUTH_CONFIG: text }))?.username, 'file');
    assert.deepEqual(warnings, [`DOCKER_AUTH_CONFIG is not used: ${message}`]);
  });
}

test('6.25 without the exact key any key of the same host does', async (t) => {
  const auths = {
    'https://r.io/v1/': entry('url'),
    's.io': {},
    't.io': { identitytoken: 'i', auth: base64('u:') },
  };
  const { find, path } = await home(t, { [docker]: { auths } });
  assert.equal((await find('r.io'))?.username, 'url');
  assert.equal(await find('s.io'), undefined);
  assert.deepEqual(await find('t.io'), { name: join(path, docker), username: 'u', identityToken: 'i' });
});

test('6.27 a helper is asked by the protocol; <token> marks an identity token', async (t) => {
  const { environment, path } = await home(t, {}, { 'docker-credential-kept': HELPER });
  const helper = new CredentialHelper('kept', environment);
  assert.equal(await helper.get('r.io', never), undefined);
  await helper.store('r.io', { username: '<token>', secret: 'identity' }, never);
  assert.deepEqual(await helper.get('r.io', never), { username: '<token>', secret: 'identity' });
  assert.deepEqual([...(await helper.list(never))], [['https://r.io', 'u']]);
  await helper.erase('r.io', never);
  assert.equal(await helper.get('r.io', never), undefined);
  assert.equal(await readFile(join(path, 'helper.log'), 'utf8'), 'get\nstore\nget\nlist\nerase\nget\n');
});

test('6.27 an identity token from a helper is presented as such', async (t) => {
  const script = `#!/bin/sh\necho '{"ServerURL":"r.io","Username":"<token>","Secret":"identity"}'\n`;
  const { find } = await home(t, { [docker]: { credsStore: 'x' } }, { 'docker-credential-x': script });
  assert.deepEqual(await find('r.io'), { name: 'docker-credential-x', identityToken: 'identity' });
});

test("6.27 a helper's failure is worded as docker words it, with secrets taken out", async (t) => {
  const fails = '#!/bin/sh\necho "locked: password=S3CRET"\nexit 2\n';
  const { find, environment } = await home(
    t,
    { [docker]: { credsStore: 'fails' } },
    { 'docker-credential-fails': fails, 'docker-credential-odd': '#!/bin/sh\necho S3CRET\n' },
  );
  const out = 'locked: password=[redacted]';
  await assert.rejects(find('r.io'), {
    code: 'HELPER_FAILED',
    message: `error getting credentials - err: exit status 2, out: \`${out}\``,
  });
  const helper = new CredentialHelper('fails', environment);
  const credential = { username: 'u', secret: 'locked' };
  await assert.rejects(helper.store('r.io', credential, never), {
    message: 'error storing credentials - err: exit status 2, out: `[redacted]: password=[redacted]`',
  });
  await assert.rejects(helper.erase('r.io', never), { message: /^error erasing credentials/ });
  await assert.rejects(helper.list(never), { message: /^error listing credentials/ });
  await assert.rejects(
    new CredentialHelper('odd', environment).get('r.io', never),
    (error) => error instanceof Error && !error.message.includes('S3CRET'),
  );
  await assert.rejects(new CredentialHelper('none', environment).get('r.io', never), {
    message:
      'error getting credentials - err: exec: "docker-credential-none": executable file not found in $PATH, out: ``',
  });
  assert.throws(() => new CredentialHelper('../x', environment), { code: 'HELPER_FAILED' });
});

const stores: [name: string, programs: string[], platform: NodeJS.Platform, store: string | undefined][] = [
  ['pass where pass and its helper are', ['pass', 'docker-credential-pass'], 'linux', 'pass'],
  ['secretservice without pass', ['docker-credential-secretservice'], 'linux', 'secretservice'],
  ['nothing when the helper is missing', ['pass', 'docker-credential-secretservice'], 'linux', undefined],
  ['the keychain', ['docker-credential-osxkeychain'], 'darwin', 'osxkeychain'],
  ['the credential manager', ['docker-credential-wincred'], 'win32', 'wincred'],
];
for (const [name, programs, platform, store] of stores) {
  test(`6.28 the store chosen by itself is ${name}`, async (t) => {
    const { path } = await home(t, {}, Object.fromEntries(programs.map((program) => [program, ''])));
    assert.equal(await defaultCredsStore({ PATH: join(path, 'bin') }, platform), store);
  });
}

test('6.28 a first login uses the store that docker would choose and names it in the file', async (t) => {
  const { environment, path } = await home(t, {}, { pass: '', 'docker-credential-pass': HELPER });
  const saved = await saveLogin(
    { server: 'r.io', username: 'u', password: 'p' },
    { environment, signal: never },
  );
  assert.deepEqual(saved, { path: join(path, docker), key: 'r.io', helper: 'docker-credential-pass' });
  assert.equal(
    await readFile(join(path, docker), 'utf8'),
    '{\n\t"auths": {\n\t\t"r.io": {}\n\t},\n\t"credsStore": "pass"\n}',
  );
});

const podmanUser = '.config/containers/auth.json';
const podmanSession = 'run/containers/auth.json';

test("podman's files come after docker's: the session's, then the user's", async (t) => {
  const { environment, path, find } = await home(t, {
    [podmanSession]: { auths: { 'a.io': entry('session'), 'b.io': entry('session') } },
    [podmanUser]: { auths: { 'a.io': entry('user'), 'c.io': entry('user') } },
    [docker]: { auths: { 'b.io': entry('docker') } },
  });
  assert.deepEqual(
    loginPlaces(environment).map((p) => p.path),
    [docker, podmanSession, podmanUser].map((p) => join(path, p)),
  );
  assert.equal((await find('a.io'))?.username, 'session');
  assert.equal((await find('b.io'))?.username, 'docker');
  assert.equal((await find('c.io'))?.username, 'user');
});

test("a file of podman's that this user may not read is passed over, docker's is an error", async (t) => {
  await asOrdinaryUser(async () => {
    const { find, path } = await home(t, {
      [podmanSession]: '{}',
      [podmanUser]: { auths: { 'a.io': entry('user') } },
    });
    await chmod(join(path, podmanSession), 0);
    assert.equal((await find('a.io'))?.username, 'user');
    await mkdir(join(path, '.docker'));
    await writeFile(join(path, docker), '{}', { mode: 0 });
    await assert.rejects(find('a.io'), { code: 'BAD_CLIENT_CONFIG', message: /config\.json": EACCES$/ });
  });
});

test('a file that is named is the only one asked and written', async (t) => {
  const { find, path, environment } = await home(t, {
    'own.json': { auths: { 'r.io': entry('own') } },
    [docker]: { auths: { 's.io': entry('docker') } },
  });
  const REGISTRY_AUTH_FILE = join(path, 'own.json');
  assert.equal((await find('r.io', '', { REGISTRY_AUTH_FILE }))?.username, 'own');
  assert.equal(await find('s.io', '', { REGISTRY_AUTH_FILE }), undefined);
  assert.equal(savingPlace({ REGISTRY_AUTH_FILE }).path, REGISTRY_AUTH_FILE);
  assert.equal(savingPlace({ REGISTRY_AUTH_FILE }, '/flag').path, '/flag');
  assert.equal(savingPlace(environment).style, 'docker');
});

test("podman's entries for part of a registry win over shorter ones", async (t) => {
  assert.deepEqual(podmanKeys('r.io', 'team/app'), ['r.io/team/app', 'r.io/team', 'r.io']);
  const auths = {
    'r.io': entry('all'),
    'r.io/team': entry('team'),
    'r.io/team/app': entry('app'),
    'docker.io/me': entry('me'),
  };
  const { find } = await home(t, { [podmanUser]: { auths } });
  assert.equal((await find('r.io', 'team/app'))?.username, 'app');
  assert.equal((await find('r.io', 'team/apple'))?.username, 'team');
  assert.equal((await find('r.io', 'teams/app'))?.username, 'all');
  assert.equal((await find('docker.io', 'me/app'))?.username, 'me');
  assert.equal(await find('docker.io', 'you/app'), undefined);
});

test("podman's file may hold docker's keys and helpers of its own", async (t) => {
  const script = `#!/bin/sh\necho '{"ServerURL":"x","Username":"helper","Secret":"pw"}'\n`;
  const { find } = await home(
    t,
    {
      [podmanUser]: {
        auths: { [HUB]: entry('hub'), 'https://r.io/v1/': entry('url') },
        credHelpers: { 's.io': 'h' },
      },
    },
    { 'docker-credential-h': script },
  );
  assert.equal((await find('docker.io', 'library/busybox'))?.username, 'hub');
  assert.equal((await find('r.io', 'app'))?.username, 'url');
  assert.equal((await find('s.io', 'app'))?.username, 'helper');
});

test('a login is saved, found, replaced and forgotten in the file', async (t) => {
  const { environment, find, path } = await home(t, {
    [docker]: '{"detachKeys": "ctrl-q", "auths": {"https://r.io": {"auth": "dTpw"}}}',
  });
  const options = { environment, signal: never };
  const saved = await saveLogin({ server: 'r.io', username: 'ada', password: 'smash' }, options);
  assert.deepEqual(saved, { path: join(path, docker), key: 'r.io', helper: undefined });
  assert.equal((await find('r.io'))?.password, 'smash');
  await saveLogin({ server: 'docker.io', username: 'hub', identityToken: 'token' }, options);
  assert.equal((await find('docker.io'))?.identityToken, 'token');
  assert.equal(await eraseLogin('r.io', options), true);
  assert.equal(await find('r.io'), undefined);
  assert.equal(await eraseLogin('r.io', options), false);
  assert.equal(await eraseLogin('docker.io', options), true);
  assert.equal(await readFile(join(path, docker), 'utf8'), '{\n\t"detachKeys": "ctrl-q",\n\t"auths": {}\n}');
});

test('with a helper the secret never reaches the file, and both forget it', async (t) => {
  const { environment, find, path } = await home(
    t,
    { [docker]: { credHelpers: { 'r.io': 'kept' } } },
    { 'docker-credential-kept': HELPER },
  );
  const options = { environment, signal: never };
  const saved = await saveLogin({ server: 'r.io', username: 'ada', password: 'S3CRET' }, options);
  assert.equal(saved.helper, 'docker-credential-kept');
  const text = await readFile(join(path, docker), 'utf8');
  assert.ok(!text.includes('S3CRET') && !text.includes(base64('ada:S3CRET')));
  assert.equal((await find('r.io'))?.password, 'S3CRET');
  assert.equal(await eraseLogin('r.io', options), true);
  assert.equal(await find('r.io'), undefined);
});

test('a helper that fails leaves the file as it was', async (t) => {
  const before = '{"credsStore":"fails"}';
  const { environment, path } = await home(
    t,
    { [docker]: before },
    { 'docker-credential-fails': '#!/bin/sh\nexit 1\n' },
  );
  await assert.rejects(
    saveLogin({ server: 'r.io', username: 'u', password: 'p' }, { environment, signal: never }),
    { code: 'HELPER_FAILED' },
  );
  assert.equal(await readFile(join(path, docker), 'utf8'), before);
});
