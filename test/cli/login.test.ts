import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { openFileStore } from '../../src/content/file-store.ts';
import { buildProgramImage } from '../../src/daemon/program-image.ts';
import { pushImage } from '../../src/pull/push-image.ts';
import { createHostResolver } from '../../src/remote/hosts/create-host-resolver.ts';
import { createRemoteClient } from '../../src/remote/remote-client.ts';
import { makeCertificates } from '../support/certificates.ts';
import { startDockerRegistry } from '../support/docker-registry.ts';
import { clientDirectory, type ClientDirectory } from '../support/registry-clients.ts';
import { runDray, type Outcome } from '../support/run-dray.ts';
import { serveRegistry, type ServedRegistry } from '../support/serve-registry.ts';
import { skipWithout } from '../support/tools.ts';

const PASSWORD = 'correct-horse:battery"staple\\é';
const QUIET = { REGISTRY_AUTH_FILE: '', DOCKER_CONFIG: '', DOCKER_AUTH_CONFIG: '', XDG_CONFIG_HOME: '' };

interface User {
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  dray(args: string[], input?: string, env?: NodeJS.ProcessEnv): Promise<Outcome>;
  login(host: string, args?: string[], env?: NodeJS.ProcessEnv): Promise<Outcome>;
  read(path: string): { auths?: Record<string, { auth?: string }> };
}

/** A user with an empty home; nothing of this machine's own logins is seen. */
function user(t: TestContext): User {
  const home = mkdtempSync(join(tmpdir(), 'drayage-login-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const env = { ...QUIET, HOME: home, XDG_RUNTIME_DIR: home, DRAYAGE_ROOT: join(home, 'root') };
  const dray: User['dray'] = (args, input = '', more = {}) =>
    runDray(args, { input, env: { ...env, ...more } });
  return {
    home,
    env,
    dray,
    login: (host, args = [], more = {}) =>
      dray(['login', '-u', 'alice', '--password-stdin', ...args, host], `${PASSWORD}\n`, more),
    read: (path) => JSON.parse(readFileSync(join(home, path), 'utf8')) as ReturnType<User['read']>,
  };
}

/** A registry where alice may read and write a project; `image` is in it. */
async function registry(
  t: TestContext,
  options: Parameters<typeof serveRegistry>[1] = {},
): Promise<{ served: ServedRegistry; image: string; digest: string }> {
  const served = await serveRegistry(t, { auth: 'required', ...options });
  const { admin } = served.registry;
  await admin.addUser('alice', PASSWORD);
  await admin.createProject('team-a');
  await admin.grantRole('team-a', 'alice', 'developer');
  const signal = AbortSignal.timeout(60_000);
  const store = await openFileStore(
    join(served.directory, '..', `${served.host.replace(':', '-')}-workshop`),
  );
  t.after(() =>
    rmSync(join(served.directory, '..', `${served.host.replace(':', '-')}-workshop`), {
      recursive: true,
      force: true,
    }),
  );
  const { target } = await buildProgramImage('echo', store, signal);
  const remote = createRemoteClient({ hosts: createHostResolver({ roots: [], insecureRegistries: [] }) });
  const image = `${served.host}/team-a/echo:v1`;
  const credential = { name: 'alice', username: 'alice', password: PASSWORD };
  const credentials = async () => credential;
  await pushImage({ remote, content: store, reference: image, target, credentials, signal });
  await remote.close();
  return { served, image, digest: target.digest };
}

const mode = (path: string): number => statSync(path).mode & 0o777;
const AUTH = Buffer.from(`alice:${PASSWORD}`).toString('base64');

test('D2 6.23 6.26 login checks with the registry and writes what docker writes, for its owner alone', async (t) => {
  const { served } = await registry(t);
  const alice = user(t);
  const outcome = await alice.login(served.host);
  assert.deepEqual([outcome.code, outcome.stdout], [0, 'Login Succeeded\n']);
  assert.deepEqual(alice.read('.docker/config.json'), { auths: { [served.host]: { auth: AUTH } } });
  assert.equal(mode(join(alice.home, '.docker/config.json')), 0o600);
  assert.ok(!(outcome.stdout + outcome.stderr).includes('correct-horse'));

  const elsewhere = join(alice.home, 'elsewhere');
  assert.equal((await alice.login(served.host, [], { DOCKER_CONFIG: elsewhere })).code, 0);
  assert.deepEqual(alice.read('elsewhere/config.json').auths, { [served.host]: { auth: AUTH } });

  const out = await alice.dray(['logout', served.host]);
  assert.equal(out.stdout, `Removed the login for ${served.host}\n`);
  assert.deepEqual(alice.read('.docker/config.json').auths, {});
  assert.equal((await alice.dray(['logout', served.host])).stdout, `Not logged in to ${served.host}\n`);
});

test('a wrong password saves nothing, ends with 1 and says so in a sentence', async (t) => {
  const { served } = await registry(t);
  const alice = user(t);
  const outcome = await alice.dray(
    ['login', '-u', 'alice', '--password-stdin', served.host],
    'very-wrong-password',
  );
  assert.deepEqual([outcome.code, outcome.stdout], [1, '']);
  assert.equal(
    outcome.stderr.split('\n')[0],
    `dray: Cannot log in to "${served.host}" as "alice": the registry refuses this user name with this password; nothing was saved`,
  );
  assert.match(outcome.stderr, /401/);
  assert.ok(!outcome.stderr.includes('very-wrong-password'));
  assert.ok(!existsSync(join(alice.home, '.docker')));
});

const USAGE: readonly { name: string; args: string[]; says: RegExp }[] = [
  {
    name: 'a password on standard input without a user',
    args: ['--password-stdin', 'r.io'],
    says: /needs --username/,
  },
  {
    name: 'two passwords',
    args: ['-u', 'a', '-p', 'b', '--password-stdin', 'r.io'],
    says: /exclude each other/,
  },
  { name: 'an empty password', args: ['-u', 'a', '--password-stdin', 'r.io'], says: /the password is empty/ },
  { name: 'no terminal to ask', args: ['r.io'], says: /there is no terminal to ask for the username/ },
  {
    name: 'a server that is none',
    args: ['-u', 'a', '-p', 'b', 'r.io/x/y'],
    says: /"r\.io\/x\/y" is no registry/,
  },
];
for (const { name, args, says } of USAGE) {
  test(`login with ${name} is bad usage`, async (t) => {
    const outcome = await user(t).dray(['login', ...args]);
    assert.equal(outcome.code, 2);
    assert.match(outcome.stderr, says);
  });
}

/** Installs a credential helper that keeps everything in a file. */
function installHelper(home: string, name: string): { path: string; kept: string } {
  const kept = join(home, 'kept.json');
  const bin = join(home, 'bin');
  mkdirSync(bin);
  writeFileSync(
    join(bin, `docker-credential-${name}`),
    `#!${process.execPath}
const { readFileSync, writeFileSync } = require('node:fs');
const input = readFileSync(0, 'utf8').trim();
let kept = {};
try { kept = JSON.parse(readFileSync(${JSON.stringify(kept)}, 'utf8')); } catch {}
if (process.argv[2] === 'store') { const login = JSON.parse(input); kept[login.ServerURL] = login; }
if (process.argv[2] === 'erase') delete kept[input];
if (process.argv[2] === 'get') {
  if (!kept[input]) { process.stdout.write('credentials not found in native keychain'); process.exit(1); }
  process.stdout.write(JSON.stringify(kept[input]));
}
writeFileSync(${JSON.stringify(kept)}, JSON.stringify(kept));
`,
    { mode: 0o755 },
  );
  return { path: `${bin}:${process.env['PATH'] ?? ''}`, kept };
}

for (const setting of ['credsStore', 'credHelpers'] as const) {
  test(`6.24 6.27 login, pull and logout go by the helper that ${setting} names`, async (t) => {
    const { served, image } = await registry(t);
    const alice = user(t);
    const helper = installHelper(alice.home, 'vault');
    const config = join(alice.home, '.docker', 'config.json');
    mkdirSync(dirname(config));
    writeFileSync(
      config,
      JSON.stringify(
        setting === 'credsStore' ? { credsStore: 'vault' } : { credHelpers: { [served.host]: 'vault' } },
      ),
    );
    const env = { PATH: helper.path };
    const outcome = await alice.login(served.host, [], env);
    assert.deepEqual(
      [outcome.code, outcome.stderr],
      [0, ''],
      'nothing lies in the file, so there is nothing to warn of',
    );
    assert.ok(!readFileSync(config, 'utf8').includes(AUTH));
    const stored = JSON.parse(readFileSync(helper.kept, 'utf8')) as Record<string, object>;
    assert.deepEqual(stored[served.host], { ServerURL: served.host, Username: 'alice', Secret: PASSWORD });
    assert.equal((await alice.dray(['pull', '-q', image], '', env)).code, 0);
    assert.equal((await alice.dray(['logout', served.host], '', env)).code, 0);
    assert.equal(readFileSync(helper.kept, 'utf8'), '{}');
    assert.equal((await alice.dray(['pull', '-q', image], '', env)).code, 1);
  });
}

test('6.29 a login in $REGISTRY_AUTH_FILE or --authfile is written there and used from there alone', async (t) => {
  const { served, image } = await registry(t);
  const alice = user(t);
  const file = join(alice.home, 'auth.json');
  assert.equal((await alice.login(served.host, [], { REGISTRY_AUTH_FILE: file })).code, 0);
  assert.deepEqual(alice.read('auth.json'), { auths: { [served.host]: { auth: AUTH } } });
  assert.equal(mode(file), 0o600);
  assert.equal((await alice.dray(['pull', '-q', image])).code, 1, 'nobody else reads it');
  assert.equal((await alice.dray(['pull', '-q', '--authfile', file, image])).code, 0);
});

test('6.29 the login that podman keeps for a session is found, the longest part of the name first', async (t) => {
  const { served, image } = await registry(t);
  const alice = user(t);
  mkdirSync(join(alice.home, 'containers'));
  const wrong = Buffer.from('alice:wrong').toString('base64');
  const auths = { [served.host]: { auth: wrong }, [`${served.host}/team-a`]: { auth: AUTH } };
  writeFileSync(join(alice.home, 'containers', 'auth.json'), JSON.stringify({ auths }));
  const outcome = await alice.dray(['pull', '-q', image]);
  assert.equal(outcome.code, 0, outcome.stderr);
});

test('pull keeps an image and push sends it on under another name, with the login of the user', async (t) => {
  const { served, image, digest } = await registry(t);
  const alice = user(t);
  await alice.login(served.host);
  const pulled = await alice.dray(['pull', image]);
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.match(pulled.stdout, /^sha256:[0-9a-f]{64}\n$/);
  const copy = `${served.host}/team-a/copy:v2`;
  const pushed = await alice.dray(['push', image, copy]);
  assert.deepEqual([pushed.code, pushed.stdout], [0, `${copy}@${digest}\n`], pushed.stderr);
  const denied = await alice.dray(['push', image, `${served.host}/team-b/copy:v2`]);
  assert.equal(denied.code, 1);
  assert.match(denied.stderr, new RegExp(`a login that may do this is needed: dray login ${served.host}`));
  const absent = await alice.dray(['push', `${served.host}/team-a/absent:v1`]);
  assert.equal(absent.code, 2);
  assert.match(absent.stderr, /there is no image ".*absent:v1" in the store; pull it first/);
});

/** A token server and registry that accept nothing but one kind of token; counts who came with what. */
async function tokenRegistry(t: TestContext): Promise<{ host: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { authorization = 'nothing' } = request.headers;
    const path = (request.url ?? '').split('?')[0] ?? '';
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      asked.push(`${request.method} ${path} ${path === '/token' ? body : authorization}`);
      if (path === '/token') {
        response.end(
          JSON.stringify({ access_token: 'from-identity', token: 'from-identity', expires_in: 300 }),
        );
        return;
      }
      if (authorization === 'nothing') {
        const { port } = server.address() as AddressInfo;
        response.writeHead(401, {
          'www-authenticate': `Bearer realm="http://127.0.0.1:${port}/token",service="tokens"`,
        });
        response.end();
        return;
      }
      response.writeHead(404).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

for (const [field, expected] of [
  [
    'identitytoken',
    /^POST \/token .*grant_type=refresh_token.*refresh_token=the-token|^POST \/token .*refresh_token=the-token.*grant_type=refresh_token/,
  ],
  ['registrytoken', /^(?:HEAD|GET) \/v2\/team\/app\/manifests\/v1 Bearer the-token$/],
] as const) {
  test(`6.25 pull uses the ${field} of a login file`, async (t) => {
    const { host, asked } = await tokenRegistry(t);
    const alice = user(t);
    mkdirSync(join(alice.home, '.docker'));
    writeFileSync(
      join(alice.home, '.docker', 'config.json'),
      JSON.stringify({ auths: { [host]: { [field]: 'the-token' } } }),
    );
    const outcome = await alice.dray(['pull', `${host}/team/app:v1`]);
    assert.equal(outcome.code, 1, 'there is no image, only the login counts');
    assert.ok(
      asked.some((line) => expected.test(line)),
      asked.join('\n'),
    );
    assert.ok(!outcome.stderr.includes('the-token'));
  });
}

describe('a registry that cannot be trusted or speaks plain http', () => {
  /** A directory that makes the registry one that is asked over TLS and checked. */
  const checked = (alice: User, host: string, text = ''): string => {
    const directory = join(alice.home, 'certs');
    mkdirSync(join(directory, host), { recursive: true });
    writeFileSync(join(directory, host, 'hosts.toml'), `server = "https://${host}"\n${text}`);
    return directory;
  };

  test('D12 16.10 16.15 an unknown authority: every command says where to put its certificate, and then works', async (t) => {
    const certificates = await makeCertificates(t);
    const { served, image } = await registry(t, { tls: certificates.server });
    const alice = user(t);
    const directory = checked(alice, served.host);
    const advice = `dray: the certificate of ${served.host} is not trusted here: put that of its authority at ~/.docker/certs.d/${served.host}/ca.crt`;
    for (const outcome of [
      await alice.login(served.host, ['--cert-dir', directory]),
      await alice.dray(['pull', '--cert-dir', directory, image]),
    ]) {
      assert.equal(outcome.code, 1);
      assert.match(outcome.stderr, /x509: certificate signed by unknown authority/);
      assert.ok(outcome.stderr.includes(advice), outcome.stderr);
    }
    assert.ok(!existsSync(join(alice.home, '.docker', 'config.json')));
    checked(alice, served.host, 'ca = "authority.pem"\n');
    writeFileSync(join(directory, served.host, 'authority.pem'), certificates.ca);
    const login = await alice.login(served.host, ['--cert-dir', directory]);
    assert.equal(login.code, 0, login.stderr);
    assert.equal((await alice.dray(['pull', '-q', '--cert-dir', directory, image])).code, 0);
  });

  test('D12 plain http where TLS is expected: the message names the option that allows it', async (t) => {
    const { served, image } = await registry(t);
    const alice = user(t);
    const directory = checked(alice, served.host);
    for (const outcome of [
      await alice.login(served.host, ['--cert-dir', directory]),
      await alice.dray(['pull', '--cert-dir', directory, image]),
    ]) {
      assert.equal(outcome.code, 1);
      assert.match(outcome.stderr, /http: server gave HTTP response to HTTPS client/);
      assert.match(outcome.stderr, new RegExp(`speaks plain http: .*--insecure-registry ${served.host}`));
    }
  });
});

describe('the command line and Debian’s clients', { skip: skipWithout('skopeo') }, () => {
  /** A client that shares the user's home. */
  const client = async (t: TestContext, alice: User): Promise<ClientDirectory['run']> => {
    const made = await clientDirectory(t);
    return (program, ...args) =>
      made.run(
        'env',
        '-u',
        'REGISTRY_AUTH_FILE',
        `HOME=${alice.home}`,
        `XDG_RUNTIME_DIR=${alice.home}`,
        program,
        ...args,
      );
  };

  test('D2 skopeo reads with the login that dray login saved, until dray logout', async (t) => {
    const { served, image } = await registry(t);
    const alice = user(t);
    const run = await client(t, alice);
    await alice.login(served.host);
    const inspect = () => run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${image}`);
    const read = await inspect();
    assert.equal(read.code, 0, read.stderr);
    await alice.dray(['logout', served.host]);
    assert.notEqual((await inspect()).code, 0);
  });

  for (const program of ['skopeo', 'podman']) {
    test(
      `D2 dray pull uses the login that ${program} login saved, and ${program} sees dray’s`,
      { skip: skipWithout(program) },
      async (t) => {
        const { served, image } = await registry(t);
        const alice = user(t);
        const run = await client(t, alice);
        const login = await run(
          program,
          'login',
          '--tls-verify=false',
          '-u',
          'alice',
          '-p',
          PASSWORD,
          served.host,
        );
        assert.equal(login.code, 0, login.stderr);
        const pulled = await alice.dray(['pull', '-q', image]);
        assert.equal(pulled.code, 0, pulled.stderr);
        assert.equal((await run(program, 'logout', served.host)).code, 0);
        assert.equal((await alice.dray(['pull', '-q', image])).code, 1);
        const file = join(alice.home, 'shared.json');
        await alice.login(served.host, ['--authfile', file]);
        const seen = await run(program, 'login', '--get-login', '--authfile', file, served.host);
        assert.equal(seen.stdout.trim(), 'alice', seen.stderr);
      },
    );
  }
});

test(
  'D10 an image goes from this program’s registry to Debian’s docker-registry and back, with one login each',
  { skip: skipWithout('docker-registry') },
  async (t) => {
    const { served, image, digest } = await registry(t);
    const host = await startDockerRegistry(t, { name: 'alice', password: PASSWORD });
    const alice = user(t);
    const copy = `${host}/copies/echo:v1`;
    await alice.login(served.host);
    assert.equal((await alice.dray(['pull', '-q', image])).code, 0);
    const before = await alice.dray(['push', image, copy]);
    assert.equal(before.code, 1);
    assert.match(before.stderr, new RegExp(`a login that may do this is needed: dray login ${host}`));
    const wrong = await alice.dray(['login', '-u', 'alice', '--password-stdin', host], 'wrong');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /the registry refuses this user name with this password; nothing was saved/);
    const login = await alice.login(host);
    assert.equal(login.code, 0, login.stderr);
    const pushed = await alice.dray(['push', image, copy]);
    assert.deepEqual([pushed.code, pushed.stdout], [0, `${copy}@${digest}\n`], pushed.stderr);
    const other = user(t);
    await other.login(host);
    assert.equal((await other.dray(['pull', '-q', copy])).code, 0);
    assert.deepEqual(
      Object.keys(alice.read('.docker/config.json').auths ?? {}).sort(),
      [host, served.host].sort(),
    );
  },
);
