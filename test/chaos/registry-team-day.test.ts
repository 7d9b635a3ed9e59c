import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { awaitWhile } from '../support/cached-registry.ts';
import {
  describe as descriptor,
  OCI_MANIFEST,
  manifestOf,
  serveRegistry,
  type ServedRegistry,
} from '../support/serve-registry.ts';
import { TeamMember } from '../support/team-member.ts';

/** Days of a team's work; `TEAM_DAYS` asks for more. */
const DAYS = Number(process.env['TEAM_DAYS'] ?? 1);
const SEED = Number(process.env['TEAM_SEED'] ?? 20_261_121);
const STEP_MS = 3_600_000;
const STEPS = (DAYS * 24 * 3_600_000) / STEP_MS;
/** Things done at the same time in each hour. */
const AT_ONCE = 5;
const HOUR = 3_600_000;
const QUOTA = 2_000_000;
const signal = new AbortController().signal;

/** A day of a team: who there is, what is known of tags that stay, and chance that can be repeated. */
interface Day {
  readonly served: ServedRegistry;
  readonly clock: ManualClock;
  readonly admin: TeamMember;
  readonly people: TeamMember[];
  readonly robots: Map<string, TeamMember>;
  /** Released tags, `repository:tag`, with their digests: nothing may ever move or take them. */
  readonly released: Map<string, string>;
  readonly counts: Map<string, number>;
  chance(below: number): number;
}

test(`${DAYS} day(s) of a team end with a clean scrub, and every tag that is left pulls and verifies`, async (t) => {
  const day = await begin(t);
  const { maintenance } = day.served.registry;
  for (let step = 0; step < STEPS; step++) {
    const tasks = Array.from({ length: AT_ONCE }, (_, place) => doSomething(day, step * AT_ONCE + place));
    // A push waits a moment for a collector that removes the same bytes: time has to go on meanwhile.
    await awaitWhile(Promise.all(tasks), () => day.clock.advance(2));
    if (step % 12 === 5) await rotate(day, step);
    await day.clock.advance(STEP_MS);
  }
  const before = await maintenance.scrub(signal);
  assert.deepEqual(before.damaged, []);
  const { pulled, released } = await everyTag(day);
  await maintenance.retain(signal, { dryRun: false });
  await day.clock.advance(14 * 24 * HOUR);
  await maintenance.collect(signal);
  await everyTag(day);
  assert.deepEqual((await maintenance.scrub(signal)).damaged, []);
  assert.deepEqual(await readdir(join(day.served.directory, 'content', 'ingest')), []);
  const preview = await maintenance.previewCollection(signal);
  assert.equal(preview.removedBlobs, 0);
  const counts = Object.fromEntries([...day.counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  t.diagnostic(`seed ${SEED}: ${JSON.stringify(counts)}; ${pulled} tags left, ${released} of them releases`);
  for (const what of [
    'push',
    'pull',
    'mount',
    'index',
    'referrer',
    'delete',
    'refused',
    'over quota',
    'rotate',
  ])
    assert.ok((day.counts.get(what) ?? 0) > 0, `nobody did: ${what}`);
  const metrics = await (await day.served.send('GET', '/metrics')).text();
  const collected = Number(/^drayage_registry_collected_bytes_total (\d+)$/m.exec(metrics)?.[1]);
  assert.ok(collected > 0, 'collection had something to do');
});

async function begin(t: TestContext): Promise<Day> {
  const clock = new ManualClock(Date.now());
  const maintenance = { everyMs: 2 * HOUR, delayMs: 2 * HOUR, uploadAgeMs: 12 * HOUR };
  const served = await serveRegistry(t, { auth: 'required', clock, maintenance });
  const { admin, robots } = served.registry;
  const { url } = served.registry;
  for (const project of ['team-a', 'team-b', 'platform']) {
    await admin.createProject(project, { public: project === 'platform' });
    await admin.setPolicy(project, {
      quotaBytes: project === 'team-b' ? QUOTA : 100 * QUOTA,
      immutable: [{ tags: 'v*' }],
      retention: [{ tags: 'build-*', keepNewest: 5 }],
      untaggedDays: 0.1,
    });
  }
  await admin.addUser('root', 'correct-horse', { admin: true });
  const people: TeamMember[] = [];
  for (let i = 0; i < 8; i++) {
    await admin.addUser(`user-${i}`, 'correct-horse');
    for (const project of ['team-a', 'team-b', 'platform'])
      await admin.grantRole(project, `user-${i}`, 'maintainer');
    people.push(new TeamMember(url, `user-${i}`, 'correct-horse'));
  }
  const machines = new Map<string, TeamMember>();
  for (const project of ['team-a', 'team-b', 'platform']) {
    const { name, secret } = await robots.create(project, 'ci', 'developer');
    machines.set(name, new TeamMember(url, name, secret));
  }
  const released = new Map<string, string>();
  const day = { served, clock, people, robots: machines, released, counts: new Map<string, number>() };
  return { ...day, admin: new TeamMember(url, 'root', 'correct-horse'), chance: chanceFrom(SEED) };
}

/** Returns numbers that only look like chance. */
function chanceFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function count(day: Day, what: string): void {
  day.counts.set(what, (day.counts.get(what) ?? 0) + 1);
}

function someone<T>(day: Day, list: readonly T[]): T {
  const found = list[day.chance(list.length)];
  assert.ok(found !== undefined);
  return found;
}

async function doSomething(day: Day, number: number): Promise<void> {
  const member = someone(day, day.people);
  const project = someone(day, ['team-a', 'team-b']);
  const repository = `${project}/app-${day.chance(2)}`;
  const layers = [
    `base ${day.chance(3)} ${'b'.repeat(5_000)}`,
    `${number} ${'x'.repeat(1_000 + day.chance(30_000))}`,
  ];
  switch (day.chance(10)) {
    case 0:
    case 1:
    case 2: {
      const robot = day.robots.get(`robot.${project}.ci`) ?? member;
      const pushed = await robot.push(repository, `build-${number}`, layers);
      expectPushed(day, pushed, 'push');
      return;
    }
    case 3: {
      const tag = `v${number}`;
      const pushed = await member.push('platform/base', tag, layers);
      expectPushed(day, pushed, 'push');
      if (typeof pushed === 'string') day.released.set(`platform/base:${tag}`, pushed);
      const copied = await member.push(repository, tag, layers, { from: 'platform/base' });
      expectPushed(day, copied, 'mount');
      if (typeof copied === 'string') day.released.set(`${repository}:${tag}`, copied);
      return;
    }
    case 4: {
      const known = [...day.released];
      const [name, digest] = known[day.chance(known.length)] ?? [];
      if (name === undefined) return;
      const [where = '', tag = ''] = name.split(':');
      assert.equal(await member.pull(where, tag), digest, name);
      count(day, 'pull');
      return;
    }
    case 5: {
      const pushed = await member.push('platform/multi', `amd64-${number}`, layers);
      if (typeof pushed !== 'string') return;
      const config = JSON.stringify({ architecture: 'amd64', os: 'linux', tag: `amd64-${number}` });
      const child = descriptor(JSON.stringify(manifestOf(config, layers)), OCI_MANIFEST);
      assert.equal(child.digest, pushed);
      const index = await member.pushIndex('platform/multi', `v${number}`, [child]);
      assert.equal(typeof index, 'string');
      day.released.set(`platform/multi:v${number}`, String(index));
      const gone = await member.send(
        'repository:platform/multi:delete',
        'DELETE',
        `/v2/platform/multi/manifests/amd64-${number}`,
      );
      assert.equal(gone.status, 202);
      const subject = { mediaType: OCI_MANIFEST, digest: pushed, size: child.size };
      const extra = { subject, artifactType: 'application/vnd.example.signature' };
      assert.equal(
        typeof (await member.push('platform/multi', `v-sig-${number}`, ['signature'], { extra })),
        'string',
      );
      const referrers = await member.send(
        'repository:platform/multi:pull',
        'GET',
        `/v2/platform/multi/referrers/${pushed}`,
      );
      assert.equal(((await referrers.json()) as { manifests: object[] }).manifests.length, 1);
      count(day, 'index');
      count(day, 'referrer');
      return;
    }
    case 6: {
      const pushed = await member.push(repository, `try-${number}`, layers);
      if (typeof pushed !== 'string') return;
      const path = `/v2/${repository}/manifests/${day.chance(2) === 0 ? `try-${number}` : pushed}`;
      assert.equal((await member.send(`repository:${repository}:delete`, 'DELETE', path)).status, 202);
      count(day, 'delete');
      return;
    }
    case 7: {
      // A robot of one project has no business in another, and a release is not moved by anybody.
      const stranger = day.robots.get('robot.team-a.ci');
      assert.equal(await stranger?.push('team-b/app-0', 'v0', ['x']), 401);
      const [name] = [...day.released.keys()];
      if (name !== undefined) {
        const [where = '', tag = ''] = name.split(':');
        assert.equal(await member.push(where, tag, [`moved ${number}`]), 403);
      }
      count(day, 'refused');
      return;
    }
    case 8: {
      const pushed = await member.push('team-b/heavy', `build-${number}`, [`${number} ${'h'.repeat(QUOTA)}`]);
      assert.equal(pushed, 403);
      count(day, 'over quota');
      return;
    }
    default: {
      // Somebody begins an upload and goes home.
      const begun = await member.send(
        `repository:${repository}:push`,
        'POST',
        `/v2/${repository}/blobs/uploads/`,
      );
      await member.send(`repository:${repository}:push`, 'PATCH', begun.headers.get('location') ?? '', {
        body: 'left',
      });
      const listed = await member.send('registry:catalog:*', 'GET', '/v2/_catalog');
      assert.equal(listed.status, 200);
      count(day, 'left behind');
    }
  }
}

/** A push succeeds, unless the project is full. */
function expectPushed(day: Day, pushed: string | number, what: string): void {
  assert.ok(typeof pushed === 'string' || pushed === 403, `a push was answered ${pushed}`);
  count(day, typeof pushed === 'string' ? what : 'full');
}

/** New secrets for robots while the old are in use, a new password, a colleague who comes and goes. */
async function rotate(day: Day, step: number): Promise<void> {
  const { admin, robots } = day.served.registry;
  for (const [name, old] of day.robots) {
    const { secret } = await robots.rotate(name);
    assert.equal((await old.send('', 'GET', '/v2/')).status, 200, 'the old secret is good for a day');
    day.robots.set(name, new TeamMember(day.served.registry.url, name, secret));
  }
  const place = step % day.people.length;
  await admin.setPassword(`user-${place}`, `password-${step}`);
  assert.equal((await day.people[place]?.send('', 'GET', '/v2/'))?.status, 401);
  day.people[place]?.changeTo(`password-${step}`);
  await admin.addUser(`guest-${step}`, 'correct-horse');
  const guest = new TeamMember(day.served.registry.url, `guest-${step}`, 'correct-horse');
  assert.equal((await guest.send('', 'GET', '/v2/')).status, 200);
  await admin.removeUser(`guest-${step}`);
  assert.equal((await guest.send('', 'GET', '/v2/')).status, 401);
  count(day, 'rotate');
}

/** Pulls every tag of every repository; releases must all be there, unmoved. */
async function everyTag(day: Day): Promise<{ pulled: number; released: number }> {
  const tags = new Map<string, string | number>();
  for (const repository of await day.served.registry.admin.listRepositories()) {
    const answer = await day.admin.send('', 'GET', `/v2/${repository}/tags/list`);
    for (const tag of ((await answer.json()) as { tags: string[] }).tags) {
      const digest = await day.admin.pull(repository, tag);
      assert.equal(typeof digest, 'string', `${repository}:${tag}`);
      tags.set(`${repository}:${tag}`, digest);
    }
  }
  for (const [name, digest] of day.released) assert.equal(tags.get(name), digest, name);
  return { pulled: tags.size, released: day.released.size };
}
