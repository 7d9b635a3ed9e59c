import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { request, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { RawAnswer, TestApi } from '../support/test-api.ts';

/** One recorded request and what it was answered. */
export interface Recorded {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly contentType?: string;
  readonly accept?: string;
  readonly body?: unknown;
  readonly code: number;
  /** Values of the `Warning` headers. */
  readonly warnings?: readonly string[];
  readonly answer: unknown;
}

/** Reads the cases of one fixture file. */
export function recorded<T = Recorded>(file: string): T[] {
  const text = readFileSync(new URL(`./fixtures/${file}`, import.meta.url), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
/** A uid that a client made up is no random part. */
const ZERO = '00000000-0000-0000-0000-000000000000';

/** Returns a body with what is random replaced, the same on both sides. */
export function settled(value: unknown, key = ''): unknown {
  if (typeof value === 'string') return key === 'resourceVersion' ? '<rv>' : settledText(value);
  if (Array.isArray(value)) return value.map((item) => settled(item, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, settled(inner, name)]));
}

function settledText(text: string): string {
  return text
    .replaceAll(UUID, (uid) => (uid === ZERO ? uid : '<uid>'))
    .replaceAll(/<uid-\d+>/g, '<uid>')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, '<time>')
    .replaceAll(/kube-api-access-[a-z0-9]{5}/g, 'kube-api-access-<rnd>')
    .replaceAll(/\bgen-[a-z0-9]{5}\b/g, 'gen-<rnd>');
}

/** Checks code, warnings, body and the order of all fields. */
export function assertAnswered(answer: RawAnswer, wanted: Recorded): void {
  assert.equal(answer.code, wanted.code, answer.text);
  assert.deepEqual([answer.headers['warning'] ?? []].flat().join(', '), (wanted.warnings ?? []).join(', '));
  const body = typeof wanted.answer === 'string' ? answer.text : (JSON.parse(answer.text) as unknown);
  const [ours, theirs] = [settled(body), settled(wanted.answer)];
  assert.deepEqual(ours, theirs);
  // Texts differ where fields come in another order.
  assert.equal(JSON.stringify(ours), JSON.stringify(theirs));
}

/** Begins a watch; resolves when it has begun, with a way to wait for its end and all its lines. */
export async function openWatch(
  api: TestApi,
  path: string,
  accept: string,
): Promise<{ ended(): Promise<string[]> }> {
  const { cert, key } = await api.certificate('kubernetes-admin', 'system:masters');
  const options: RequestOptions = { ca: api.pki.ca.cert, cert, key, agent: false, headers: { accept } };
  const sent = request(`${api.server.url}${path}`, options);
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  assert.equal(answer.statusCode, 200);
  return {
    ended: async () => {
      let text = '';
      for await (const chunk of answer) text += String(chunk);
      return text.trim().split('\n');
    },
  };
}
