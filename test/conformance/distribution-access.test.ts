import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, test, type TestContext } from 'node:test';
import { hash } from 'bcryptjs';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { errorCodes, serveRegistry, sha256, type ServedRegistry } from '../support/serve-registry.ts';
import type { RegistryOptions } from '../../src/registry/registry.ts';

const ALICE = 'alice:correct-horse';
const BOB = 'bob:battery-staple';
const EVE = 'eve:nothing-at-all';
const ADMIN = 'root:administrator';

async function team(t: TestContext, options: Partial<RegistryOptions> = {}): Promise<ServedRegistry> {
  const served = await serveRegistry(t, { auth: 'required', ...options });
  const { admin } = served.registry;
  for (const pair of [ALICE, BOB, EVE]) {
    const [name = '', password = ''] = pair.split(':');
    await admin.addUser(name, password);
  }
  await admin.addUser('root', 'administrator', { admin: true });
  await admin.createProject('team-a');
  await admin.createProject('team-b');
  await admin.createProject('open', { public: true });
  await admin.grantRole('team-a', 'alice', 'maintainer');
  await admin.grantRole('team-b', 'alice', 'guest');
  await admin.grantRole('open', 'alice', 'developer');
  await admin.grantRole('team-a', 'bob', 'guest');
  return served;
}

interface Token {
  readonly token: string;
  readonly access_token: string;
  readonly expires_in: number;
  readonly issued_at: string;
  readonly refresh_token?: string;
  readonly scope: string;
}

async function tokenFor(served: ServedRegistry, scopes: readonly string[], basic?: string): Promise<Token> {
  const query = scopes.map((scope) => `scope=${encodeURIComponent(scope)}`).join('&');
  const answer = await served.send(
    'GET',
    `/token?service=drayage&${query}`,
    basic === undefined ? {} : { basic },
  );
  assert.equal(answer.status, 200);
  return (await answer.json()) as Token;
}

async function post(served: ServedRegistry, form: Record<string, string>): Promise<Response> {
  return served.send('POST', '/token', {
    body: new URLSearchParams(form).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
}

describe('challenges', () => {
  const realm = (served: ServedRegistry): string =>
    `Bearer realm="${served.registry.url}/token",service="drayage"`;
  const cases: readonly [name: string, method: string, path: string, scope: string][] = [
    ['ping', 'GET', '/v2/', ''],
    ['a pull', 'GET', '/v2/team-a/x/manifests/v1', ',scope="repository:team-a/x:pull"'],
    ['a HEAD', 'HEAD', `/v2/team-a/x/blobs/${sha256('x')}`, ',scope="repository:team-a/x:pull"'],
    ['a push', 'POST', '/v2/team-a/x/blobs/uploads/', ',scope="repository:team-a/x:pull,push"'],
    [
      'a mount',
      'POST',
      `/v2/dst/blobs/uploads/?mount=${sha256('x')}&from=src`,
      ',scope="repository:dst:pull,push repository:src:pull"',
    ],
    ['a deletion', 'DELETE', '/v2/team-a/x/manifests/v1', ',scope="repository:team-a/x:delete"'],
    ['the catalog', 'GET', '/v2/_catalog', ',scope="registry:catalog:*"'],
    ['a repository that is not there', 'GET', '/v2/none/tags/list', ',scope="repository:none:pull"'],
  ];
  for (const [name, method, path, scope] of cases) {
    test(`${name} without a credential answers 401 and says what to ask for`, async (t) => {
      const served = await team(t);
      const answer = await served.send(method, path);
      assert.equal(answer.status, 401);
      assert.equal(answer.headers.get('www-authenticate'), realm(served) + scope);
      if (method !== 'HEAD') assert.deepEqual(await errorCodes(answer), ['UNAUTHORIZED']);
    });
  }

  test('a token that lacks access answers 401 insufficient_scope, whether or not the repository exists', async (t) => {
    const served = await team(t);
    const { token } = await tokenFor(served, ['repository:team-a/x:pull'], EVE);
    for (const path of ['/v2/team-a/x/tags/list', '/v2/none/tags/list']) {
      const answer = await served.send('GET', path, { bearer: token });
      assert.equal(answer.status, 401);
      const name = path.includes('none') ? 'none' : 'team-a/x';
      const expected = `${realm(served)},scope="repository:${name}:pull",error="insufficient_scope"`;
      assert.equal(answer.headers.get('www-authenticate'), expected);
    }
  });

  test('a token that is not ours, or has expired, answers 401 invalid_token', async (t) => {
    const clock = new ManualClock(Date.now());
    const served = await team(t, { clock });
    const { token } = await tokenFor(served, ['repository:team-a/x:pull'], ALICE);
    assert.equal((await served.send('GET', '/v2/', { bearer: token })).status, 200);
    await clock.advance(306_000);
    for (const bearer of [token, 'x.y.z', `${token}x`]) {
      const answer = await served.send('GET', '/v2/team-a/x/tags/list', { bearer });
      assert.equal(answer.status, 401);
      const expected = `${realm(served)},scope="repository:team-a/x:pull",error="invalid_token"`;
      assert.equal(answer.headers.get('www-authenticate'), expected);
    }
  });

  test('a host header that is no host does not reach the challenge', async (t) => {
    const served = await team(t);
    const { request } = await import('node:http');
    const challenge = await new Promise<string | undefined>((resolve, reject) => {
      const sent = request(served.registry.url + '/v2/', { headers: { host: 'evil"/x' } }, (answer) => {
        answer.resume();
        resolve(answer.headers['www-authenticate']);
      });
      sent.on('error', reject).end();
    });
    assert.equal(challenge, realm(served));
  });
});

describe('token service', () => {
  test('GET answers both names of the token, its life and when it was issued', async (t) => {
    const served = await team(t);
    const answer = await tokenFor(served, ['repository:team-a/x:pull'], ALICE);
    assert.equal(answer.token, answer.access_token);
    assert.ok(answer.expires_in >= 60);
    assert.ok(!Number.isNaN(Date.parse(answer.issued_at)));
    assert.equal(answer.refresh_token, undefined);
  });

  const scopes: readonly [
    name: string,
    basic: string | undefined,
    asked: readonly string[],
    granted: string,
  ][] = [
    ['everything', ALICE, ['repository:team-a/x:push,pull'], 'repository:team-a/x:pull,push'],
    ['less than asked', BOB, ['repository:team-a/x:pull,push,delete'], 'repository:team-a/x:pull'],
    ['nothing', EVE, ['repository:team-a/x:pull'], ''],
    ['a star as all that is had', ALICE, ['repository:team-a/x:*'], 'repository:team-a/x:pull,push,delete,*'],
    ['a star as a part', BOB, ['repository:team-a/x:*'], 'repository:team-a/x:pull'],
    [
      'scopes in one parameter, twice and mixed, as containerd sends them',
      ALICE,
      ['repository:team-a/x:pull repository:team-a/x:pull,push repository:team-b/y:pull'],
      'repository:team-a/x:pull,push repository:team-b/y:pull',
    ],
    [
      'several parameters',
      ALICE,
      ['repository:team-b/y:pull', 'repository:open/z:push'],
      'repository:team-b/y:pull repository:open/z:push',
    ],
    ['nobody in a public project', undefined, ['repository:open/z:pull,push'], 'repository:open/z:pull'],
    ['nobody elsewhere', undefined, ['repository:team-a/x:pull', 'registry:catalog:*'], ''],
    [
      'types and names that nobody knows',
      ALICE,
      ['plugin:x:pull', 'repository:localhost:5000/a:pull', 'nonsense', ''],
      '',
    ],
    [
      'a class of repository',
      ALICE,
      ['repository(plugin):team-a/x:pull'],
      'repository(plugin):team-a/x:pull',
    ],
    [
      'an administrator',
      ADMIN,
      ['repository:anything:pull', 'registry:catalog:*'],
      'repository:anything:pull registry:catalog:*',
    ],
    ['a project whose name is only a prefix of letters', ALICE, ['repository:team-abc:pull'], ''],
  ];
  for (const [name, basic, asked, granted] of scopes) {
    test(`a token for ${name}`, async (t) => {
      const served = await team(t);
      assert.equal((await tokenFor(served, asked, basic)).scope, granted);
    });
  }

  test('wrong credentials are the one thing that answers 401', async (t) => {
    const served = await team(t);
    for (const basic of ['alice:wrong-password', 'nobody:correct-horse', 'alice:']) {
      const answer = await served.send('GET', '/token?service=drayage', { basic });
      assert.equal(answer.status, 401, basic);
    }
    const form = { grant_type: 'password', username: 'alice', password: 'wrong' };
    assert.equal((await post(served, form)).status, 401);
    assert.equal((await post(served, { grant_type: 'refresh_token', refresh_token: 'x' })).status, 401);
    assert.equal((await post(served, { grant_type: 'magic' })).status, 400);
  });

  test('POST with a password answers a token, and offline a refresh token that buys more', async (t) => {
    const served = await team(t);
    const form = { grant_type: 'password', username: 'alice', password: 'correct-horse', service: 'drayage' };
    const answer = await post(served, { ...form, client_id: 'x', access_type: 'offline' });
    assert.equal(answer.status, 200);
    const { refresh_token: refresh = '' } = (await answer.json()) as Token;
    const scope = 'repository:team-a/x:pull,push';
    const again = await post(served, { grant_type: 'refresh_token', refresh_token: refresh, scope });
    assert.equal(((await again.json()) as Token).scope, scope);
    const viaGet = await served.send('GET', '/token?offline_token=true&client_id=docker', { basic: ALICE });
    assert.ok(((await viaGet.json()) as Token).refresh_token);
  });

  test('a changed password ends refresh tokens and remembered logins', async (t) => {
    const served = await team(t);
    const answer = await served.send('GET', '/token?offline_token=true', { basic: ALICE });
    const { refresh_token: refresh = '' } = (await answer.json()) as Token;
    await served.registry.admin.setPassword('alice', 'another-horse');
    assert.equal((await post(served, { grant_type: 'refresh_token', refresh_token: refresh })).status, 401);
    assert.equal((await served.send('GET', '/token', { basic: ALICE })).status, 401);
    assert.equal((await served.send('GET', '/token', { basic: 'alice:another-horse' })).status, 200);
  });

  test('guessing is slowed down with 429 and Retry-After, and a pause ends it', async (t) => {
    const clock = new ManualClock(Date.now());
    const served = await team(t, { clock });
    // The same wrong password again and again is a client with an old secret, not somebody who guesses.
    for (let tries = 0; tries < 9; tries++) {
      assert.equal((await served.send('GET', '/token', { basic: 'alice:old-secret' })).status, 401);
    }
    for (let tries = 0; tries < 4; tries++) {
      assert.equal((await served.send('GET', '/token', { basic: `alice:guess-${tries}` })).status, 401);
    }
    const blocked = await served.send('GET', '/token', { basic: ALICE });
    assert.equal(blocked.status, 429);
    assert.equal(blocked.headers.get('retry-after'), '1');
    assert.deepEqual(await errorCodes(blocked), ['TOOMANYREQUESTS']);
    assert.equal((await served.send('GET', '/token', { basic: BOB })).status, 200);
    await clock.advance(1_000);
    assert.equal((await served.send('GET', '/token', { basic: ALICE })).status, 200);
    assert.equal((await served.send('GET', '/token', { basic: 'alice:guess-again' })).status, 401);
  });
});

describe('rights', () => {
  test('a password may be used without a token; without the right it is 403 DENIED', async (t) => {
    const served = await team(t);
    assert.equal((await served.send('POST', '/v2/team-a/x/blobs/uploads/', { basic: ALICE })).status, 202);
    for (const path of ['/v2/team-a/x/blobs/uploads/', '/v2/none/blobs/uploads/']) {
      const answer = await served.send('POST', path, { basic: BOB });
      assert.equal(answer.status, 403);
      assert.deepEqual(await errorCodes(answer), ['DENIED']);
    }
  });

  test('a mount needs pull on the source in the same token, else it is an upload', async (t) => {
    const served = await team(t);
    const digest = sha256('shared');
    const path = `/v2/team-b/src/blobs/uploads/?digest=${digest}`;
    assert.equal((await served.send('POST', path, { body: 'shared', basic: ADMIN })).status, 201);
    const mount = `/v2/team-a/dst/blobs/uploads/?mount=${digest}&from=team-b/src`;
    const narrow = await tokenFor(served, ['repository:team-a/dst:pull,push'], ALICE);
    assert.equal((await served.send('POST', mount, { bearer: narrow.token })).status, 202);
    const wide = await tokenFor(
      served,
      ['repository:team-a/dst:pull,push repository:team-b/src:pull'],
      ALICE,
    );
    assert.equal((await served.send('POST', mount, { bearer: wide.token })).status, 201);
  });

  test('a mount without a source is done only where the caller could pull the blob', async (t) => {
    const served = await team(t);
    const digest = sha256('secret');
    const path = `/v2/team-b/src/blobs/uploads/?digest=${digest}`;
    await served.send('POST', path, { body: 'secret', basic: ADMIN });
    await served.registry.admin.grantRole('open', 'eve', 'developer');
    const mount = `/v2/open/dst/blobs/uploads/?mount=${digest}`;
    assert.equal((await served.send('POST', mount, { basic: EVE })).status, 202);
    assert.equal((await served.send('POST', mount, { basic: ALICE })).status, 201);
  });

  test('the catalog shows each caller what it may pull', async (t) => {
    const served = await team(t);
    for (const name of ['team-a/x', 'team-b/y', 'open/z', 'outside']) {
      const body = JSON.stringify({ schemaVersion: 2, manifests: [] });
      const headers = { 'content-type': 'application/vnd.oci.image.index.v1+json' };
      assert.equal(
        (await served.send('PUT', `/v2/${name}/manifests/v1`, { body, headers, basic: ADMIN })).status,
        201,
      );
    }
    const seen: [string, string[]][] = [];
    for (const basic of [ALICE, BOB, EVE, ADMIN]) {
      const { token } = await tokenFor(served, ['registry:catalog:*'], basic);
      const answer = await served.send('GET', '/v2/_catalog', { bearer: token });
      seen.push([basic, ((await answer.json()) as { repositories: string[] }).repositories]);
    }
    assert.deepEqual(seen, [
      [ALICE, ['open/z', 'team-a/x', 'team-b/y']],
      [BOB, ['open/z', 'team-a/x']],
      [EVE, ['open/z']],
      [ADMIN, ['open/z', 'outside', 'team-a/x', 'team-b/y']],
    ]);
  });

  test('a private project within a public one stays private', async (t) => {
    const served = await team(t);
    await served.registry.admin.createProject('open/inner');
    const { scope } = await tokenFor(served, ['repository:open/inner/x:pull', 'repository:open/y:pull']);
    assert.equal(scope, 'repository:open/y:pull');
  });

  test('users of a password file have its role, and a changed file counts at once', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'dray-htpasswd-'));
    t.after(() => rm(directory, { recursive: true }));
    const path = join(directory, 'htpasswd');
    await writeFile(path, `# users\ncarol:${await hash('carols-password', 4)}\nweak:{SHA}abc\n`);
    const served = await team(t, { htpasswd: { path, role: 'developer' } });
    const asked = ['repository:any/thing:*'];
    assert.equal(
      (await tokenFor(served, asked, 'carol:carols-password')).scope,
      'repository:any/thing:pull,push',
    );
    assert.equal((await served.send('GET', '/token', { basic: 'weak:abc' })).status, 401);
    await writeFile(path, `dave:${await hash('daves-password', 4)}\n`);
    assert.equal((await served.send('GET', '/token', { basic: 'carol:carols-password' })).status, 401);
    assert.equal((await served.send('GET', '/token', { basic: 'dave:daves-password' })).status, 200);
  });

  test('tokens stay good when the registry starts again, because its keys are kept', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'dray-registry-'));
    const first = await serveRegistry({ after: () => {} }, { auth: 'required', directory });
    await first.registry.admin.addUser('alice', 'correct-horse');
    await first.registry.admin.createProject('p', { public: true });
    const { token } = await tokenFor(first, ['repository:p/x:pull'], ALICE);
    await first.registry.close();
    const second = await serveRegistry(t, { auth: 'required', directory });
    const answer = await second.send('GET', '/v2/p/x/tags/list', { bearer: token });
    assert.deepEqual(await errorCodes(answer), ['NAME_UNKNOWN']);
  });
});
