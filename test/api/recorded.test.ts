import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { startTestApi, type RawAnswer, type TestApi } from '../support/test-api.ts';
import { assertAnswered, openWatch, recorded, settled, type Recorded } from './replay.ts';

/** Watches end by it: what they are to tell must be done before, however slow the machine. */
const clock = new ManualClock(Date.now());
let api: TestApi;
const DEMO = '/api/v1/namespaces/demo';
const MERGE = 'application/merge-patch+json';

async function make(path: string, body: object): Promise<void> {
  const made = await api.send('POST', path, { body });
  assert.equal(made.code, 201, made.text);
}

/** Only what is known when the request is sent is put in: a resource version that was never, any time. */
function filled(body: unknown): unknown {
  if (typeof body === 'string' || body === undefined) return body;
  const text = JSON.stringify(body);
  return JSON.parse(text.replaceAll('"<rv>"', '"1"').replaceAll('"<time>"', '"2026-11-21T00:00:00Z"'));
}

function replay({ method, path, body, contentType, accept }: Recorded): Promise<RawAnswer> {
  return api.send(method, path, {
    ...(body === undefined ? {} : { body: filled(body) }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(accept === undefined ? {} : { accept }),
  });
}

before(async () => {
  api = await startTestApi({ clock });
  await make('/api/v1/namespaces', { metadata: { name: 'demo' } });
  await make(`${DEMO}/serviceaccounts`, { metadata: { name: 'default' } });
  await make('/api/v1/nodes', { metadata: { name: 'n1' } });
});
after(() => api.close());

describe('a minimal object is answered as Kubernetes 1.36.2 answers it:', () => {
  for (const wanted of recorded('created.jsonl')) {
    test(wanted.name, async () => assertAnswered(await replay(wanted), wanted));
  }
});

describe('a request is answered as Kubernetes 1.36.2 answers it:', () => {
  before(async () => {
    await make(`${DEMO}/secrets`, { metadata: { name: 's1' } });
    const type = 'kubernetes.io/dockerconfigjson';
    await make(`${DEMO}/secrets`, {
      metadata: { name: 's-reg' },
      type,
      data: { '.dockerconfigjson': 'e30=' },
    });
    await make(`${DEMO}/secrets`, { metadata: { name: 's-imm' }, immutable: true, stringData: { a: 'b' } });
    await make(`${DEMO}/configmaps`, { metadata: { name: 'c1' }, data: { a: '1' } });
    await api.send('PATCH', `${DEMO}/configmaps/c1`, { body: { data: { a: '2' } }, contentType: MERGE });
    const image = '127.0.0.1:5503/test/app:1';
    for (const name of ['upd', 't-running', 't-two']) {
      await make(`${DEMO}/pods`, { metadata: { name }, spec: { containers: [{ name: 'a', image }] } });
    }
  });
  for (const wanted of recorded('answers.jsonl')) {
    test(wanted.name, async () => assertAnswered(await replay(wanted), wanted));
  }
});

interface Watched {
  readonly name: string;
  readonly path: string;
  readonly accept: string;
  readonly events: readonly Event[];
}
interface Event {
  readonly type: string;
  readonly object: { columnDefinitions?: { description?: string }[]; rows?: { cells: unknown[] }[] };
}

/** Leaves out what is in our own words, and ages. */
function comparable(event: Event): unknown {
  const { type, object } = structuredClone(event);
  for (const column of object.columnDefinitions ?? []) delete column.description;
  for (const row of object.rows ?? []) row.cells.pop();
  return settled({ type, object });
}

describe('a watch tells what Kubernetes 1.36.2 tells:', () => {
  for (const { name, path, accept, events } of recorded<Watched>('watched.jsonl')) {
    test(name, async () => {
      const watch = await openWatch(api, path, accept);
      const map = { metadata: { name: 'w1', labels: { w: '1' } }, data: { a: '1' } };
      await make(`${DEMO}/configmaps`, map);
      for (const body of [
        { data: { a: '2' } },
        { metadata: { labels: { w: '2' } } },
        { metadata: { labels: { w: '1' } } },
      ]) {
        await api.send('PATCH', `${DEMO}/configmaps/w1`, { body, contentType: MERGE });
      }
      await api.send('DELETE', `${DEMO}/configmaps/w1`);
      await clock.advance(Number(/timeoutSeconds=(\d+)/.exec(path)?.[1]) * 1000);
      const told = (await watch.ended()).map((line) => comparable(JSON.parse(line) as Event));
      assert.deepEqual(told, events.map(comparable));
    });
  }
});
