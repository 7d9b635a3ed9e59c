import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT, type JSONWebKeySet } from 'jose';
import { ManualClock } from '../../base/manual-clock.ts';
import { serveRegistry, type ServedRegistry } from '../../../test/support/serve-registry.ts';
import type { TokenIssuer } from './service-account-tokens.ts';

const START = Date.UTC(2026, 0, 1);

async function scopeOf(served: ServedRegistry, basic: string, scope: string): Promise<string | number> {
  const answer = await served.send('GET', `/token?scope=${scope}`, { basic });
  return answer.status === 200 ? ((await answer.json()) as { scope: string }).scope : answer.status;
}

describe('robots', () => {
  test('a robot has its role in its project, under a name that needs no quoting', async (t) => {
    const served = await serveRegistry(t, { auth: 'required' });
    await served.registry.admin.createProject('team-a/apps');
    const robot = await served.registry.robots.create('team-a/apps', 'ci', 'developer');
    assert.equal(robot.name, 'robot.team-a.apps.ci');
    assert.match(robot.secret, /^dray_[\w-]{43}$/);
    const basic = `${robot.name}:${robot.secret}`;
    assert.equal(
      await scopeOf(served, basic, 'repository:team-a/apps/x:*'),
      'repository:team-a/apps/x:pull,push',
    );
    assert.equal(await scopeOf(served, basic, 'repository:team-a/other:pull'), '');
    assert.equal(await scopeOf(served, `${robot.name}:dray_wrong`, 'repository:x:pull'), 401);
  });

  test('an exchanged secret overlaps with the old one for a while, then only the new one is good', async (t) => {
    const clock = new ManualClock(START);
    const served = await serveRegistry(t, { auth: 'required', clock });
    await served.registry.admin.createProject('p');
    const old = await served.registry.robots.create('p', 'node', 'guest');
    const fresh = await served.registry.robots.rotate(old.name, { overlapMs: 60_000 });
    const scope = 'repository:p/x:pull';
    for (const { name, secret } of [old, fresh])
      assert.equal(await scopeOf(served, `${name}:${secret}`, scope), scope);
    await clock.advance(60_001);
    assert.equal(await scopeOf(served, `${old.name}:${old.secret}`, scope), 401);
    assert.equal(await scopeOf(served, `${fresh.name}:${fresh.secret}`, scope), scope);
  });

  test('one exchange soon after another leaves all secrets good for their time; one without overlap ends them', async (t) => {
    const clock = new ManualClock(START);
    const served = await serveRegistry(t, { auth: 'required', clock });
    const { robots } = served.registry;
    await served.registry.admin.createProject('p');
    const first = await robots.create('p', 'node', 'guest');
    const second = await robots.rotate(first.name, { overlapMs: 60_000 });
    await clock.advance(10_000);
    const third = await robots.rotate(first.name, { overlapMs: 60_000 });
    const good = async (): Promise<number[]> => {
      const found: number[] = [];
      for (const [place, { name, secret }] of [first, second, third].entries()) {
        if (typeof (await scopeOf(served, `${name}:${secret}`, '')) === 'string') found.push(place + 1);
      }
      return found;
    };
    assert.deepEqual(await good(), [1, 2, 3]);
    assert.equal((await robots.list())[0]?.overlapUntil, START + 70_000);
    await clock.advance(50_000);
    assert.deepEqual(await good(), [2, 3]);
    await robots.rotate(first.name, { overlapMs: 0 });
    assert.deepEqual(await good(), []);
  });

  test('an exchanged secret is good for as long as the one before it was made for, which it does not prolong', async (t) => {
    const clock = new ManualClock(START);
    const served = await serveRegistry(t, { auth: 'required', clock });
    await served.registry.admin.createProject('p');
    const old = await served.registry.robots.create('p', 'node', 'guest', { lifetimeMs: 100_000 });
    await clock.advance(90_000);
    const fresh = await served.registry.robots.rotate(old.name);
    assert.equal(fresh.expiresAt, START + 190_000);
    await clock.advance(10_000);
    assert.equal(await scopeOf(served, `${old.name}:${old.secret}`, ''), 401);
    assert.equal(await scopeOf(served, `${fresh.name}:${fresh.secret}`, ''), '');
    await clock.advance(90_000);
    assert.equal(await scopeOf(served, `${fresh.name}:${fresh.secret}`, ''), 401);
  });

  test('nobody locks a robot out by guessing at its secret from the same address', async (t) => {
    const served = await serveRegistry(t, { auth: 'required' });
    await served.registry.admin.createProject('p');
    const { name, secret } = await served.registry.robots.create('p', 'node', 'guest');
    const answers: (string | number)[] = [];
    for (let guess = 0; guess < 7; guess++) answers.push(await scopeOf(served, `${name}:dray_${guess}`, ''));
    assert.deepEqual(answers, [401, 401, 401, 401, 401, 429, 429]);
    assert.equal(await scopeOf(served, `${name}:${secret}`, 'repository:p/x:pull'), 'repository:p/x:pull');
  });

  test('a robot that is not there is refused as fast as one whose secret is wrong', async (t) => {
    const served = await serveRegistry(t, { auth: 'required' });
    await served.registry.admin.createProject('p');
    const robot = await served.registry.robots.create('p', 'node', 'guest');
    const names = [robot.name, 'robot.p.none'];
    const best = new Map(names.map((name) => [name, Infinity]));
    // Five wrong guesses of one name are let through. In turns, so that a busy moment of the machine meets both alike.
    for (const name of [...names, ...names, ...names, ...names]) {
      const from = performance.now();
      assert.equal(await scopeOf(served, `${name}:dray_guess`, ''), 401);
      best.set(name, Math.min(best.get(name) ?? Infinity, performance.now() - from));
    }
    const [there = Infinity, absent = Infinity] = best.values();
    // A user's password takes its 40 ms.
    assert.ok(Math.abs(there - absent) < 20, `${there} ms and ${absent} ms`);
  });

  test('an expired robot is refused, and so is a removed one, at once', async (t) => {
    const clock = new ManualClock(START);
    const served = await serveRegistry(t, { auth: 'required', clock });
    await served.registry.admin.createProject('p');
    const short = await served.registry.robots.create('p', 'short', 'guest', { lifetimeMs: 1_000 });
    const long = await served.registry.robots.create('p', 'long', 'guest');
    const scope = 'repository:p/x:pull';
    assert.equal(await scopeOf(served, `${short.name}:${short.secret}`, scope), scope);
    assert.equal(await scopeOf(served, `${long.name}:${long.secret}`, scope), scope);
    await clock.advance(1_000);
    await served.registry.robots.remove(long.name);
    assert.equal(await scopeOf(served, `${short.name}:${short.secret}`, scope), 401);
    assert.equal(await scopeOf(served, `${long.name}:${long.secret}`, scope), 401);
  });

  test('names that exist, or projects that do not, are refused; no user can look like a robot', async (t) => {
    const { registry } = await serveRegistry(t, { auth: 'required' });
    await registry.admin.createProject('p');
    await registry.robots.create('p', 'ci', 'guest');
    await assert.rejects(registry.robots.create('p', 'ci', 'guest'), { code: 'EXISTS' });
    await assert.rejects(registry.robots.create('q', 'ci', 'guest'), { code: 'EXISTS' });
    await assert.rejects(registry.robots.create('p', 'a b', 'guest'), { code: 'BAD_NAME' });
    await assert.rejects(registry.admin.addUser('robot.p.x', 'long enough'), { code: 'BAD_NAME' });
  });
});

describe('service-account tokens', () => {
  const ISSUER = 'https://cluster.example';

  async function cluster(): Promise<{
    issuer: TokenIssuer;
    token: (claims: { sub?: string; aud?: string; exp?: number; kid?: string }) => Promise<string>;
    fetched: () => number;
  }> {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    const keys: JSONWebKeySet = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256' }] };
    let fetched = 0;
    return {
      issuer: {
        issuer: ISSUER,
        audience: 'registry',
        keys: async () => {
          fetched++;
          return keys;
        },
        rules: [
          { namespace: 'team-*', project: '{namespace}', role: 'guest' },
          { namespace: 'ci', serviceAccount: 'builder', project: 'team-a', role: 'developer' },
        ],
      },
      token: ({
        sub = 'system:serviceaccount:team-a:default',
        aud = 'registry',
        exp = START / 1000 + 600,
        kid = 'k1',
      }) =>
        new SignJWT({})
          .setProtectedHeader({ alg: 'RS256', kid })
          .setIssuer(ISSUER)
          .setSubject(sub)
          .setAudience(aud)
          .setExpirationTime(exp)
          .sign(privateKey),
      fetched: () => fetched,
    };
  }

  async function served(
    t: TestContext,
    issuer: TokenIssuer,
  ): Promise<{ served: ServedRegistry; clock: ManualClock }> {
    const clock = new ManualClock(START);
    const registry = await serveRegistry(t, { auth: 'required', clock, tokenIssuers: [issuer] });
    return { served: registry, clock };
  }

  test('rules map namespaces and accounts to roles', async (t) => {
    const { issuer, token } = await cluster();
    const { served: registry } = await served(t, issuer);
    const asked = 'repository:team-a/x:pull,push';
    const cases: [sub: string, granted: string][] = [
      ['system:serviceaccount:team-a:default', 'repository:team-a/x:pull'],
      ['system:serviceaccount:team-b:default', ''],
      ['system:serviceaccount:ci:builder', asked],
      ['system:serviceaccount:ci:other', ''],
    ];
    for (const [sub, granted] of cases) {
      assert.equal(await scopeOf(registry, `any:${await token({ sub })}`, asked), granted, sub);
    }
    assert.equal(await scopeOf(registry, `any:${await token({ sub: 'someone' })}`, asked), 401);
  });

  test('a token of another audience, issuer or key, or an expired one, is a wrong password', async (t) => {
    const { issuer, token } = await cluster();
    const { served: registry, clock } = await served(t, issuer);
    const other = await cluster();
    const good = await token({});
    const bad = [
      await token({ aud: 'https://kubernetes' }),
      await token({ exp: START / 1000 - 60 }),
      await other.token({}),
    ];
    for (const password of bad)
      assert.equal(await scopeOf(registry, `x${bad.indexOf(password)}:${password}`, ''), 401);
    assert.equal(await scopeOf(registry, `x:${good}`, ''), '');
    await clock.advance(700_000);
    assert.equal(await scopeOf(registry, `x:${good}`, ''), 401);
  });

  test('it may also be sent as a bearer token, without exchange', async (t) => {
    const { issuer, token } = await cluster();
    const { served: registry } = await served(t, issuer);
    const bearer = await token({});
    assert.equal((await registry.send('GET', '/v2/team-a/x/tags/list', { bearer })).status, 404);
    assert.equal((await registry.send('GET', '/v2/other/x/tags/list', { bearer })).status, 403);
  });

  test('a cluster whose keys cannot be had makes it 503, and keys that were had before go on', async (t) => {
    const { issuer, token } = await cluster();
    let down = true;
    const keys: TokenIssuer['keys'] = (signal) => {
      if (down) throw new Error('connection refused');
      return issuer.keys(signal);
    };
    const { served: registry, clock } = await served(t, { ...issuer, keys });
    const basic = `x:${await token({ exp: START / 1000 + 86_400 })}`;
    assert.equal(await scopeOf(registry, basic, ''), 503);
    down = false;
    assert.equal(await scopeOf(registry, basic, ''), '');
    down = true;
    await clock.advance(3_600_000);
    assert.equal(await scopeOf(registry, basic, ''), '');
  });

  test('invented key IDs do not make the registry fetch keys again and again', async (t) => {
    const { issuer, token, fetched } = await cluster();
    const { served: registry, clock } = await served(t, issuer);
    for (let i = 0; i < 4; i++) await scopeOf(registry, `x${i}:${await token({ kid: `made-up-${i}` })}`, '');
    assert.equal(fetched(), 1);
    await clock.advance(10_000);
    await scopeOf(registry, `y:${await token({ kid: 'made-up' })}`, '');
    assert.equal(fetched(), 2);
  });
});
