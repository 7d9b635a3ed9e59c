import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestApi } from '../support/test-api.ts';

/** A request and what it is answered: the name of the row, the request, the code, and the message of the Status. */
export type Refusal = readonly [
  name: string,
  request: string,
  body: unknown,
  code: number,
  message: string | RegExp,
];

const PATCHES: Readonly<Record<string, string>> = {
  MERGE: 'application/merge-patch+json',
  STRATEGIC: 'application/strategic-merge-patch+json',
  JSONPATCH: 'application/json-patch+json',
  APPLY: 'application/apply-patch+yaml',
};

/**
 * Makes a test of each row. A request reads `POST PATH`; `MERGE`, `STRATEGIC`, `JSONPATCH` and `APPLY` are patches. In a
 * message `UID` stands for any uid. With code 2xx the message is what the warnings say.
 */
export function refuses(api: () => TestApi, rows: readonly Refusal[]): void {
  for (const [name, request, body, code, message] of rows) {
    test(name, async () => {
      const [verb = '', path = ''] = request.split(' ', 2);
      const contentType = PATCHES[verb];
      const answer = await api().send(contentType === undefined ? verb : 'PATCH', path, {
        ...(body === undefined ? {} : { body }),
        ...(contentType === undefined ? {} : { contentType }),
      });
      assert.equal(answer.code, code, answer.text);
      const told = code < 300 ? [answer.headers['warning'] ?? []].flat().join(', ') : answer.json().message;
      const plain = String(told).replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UID');
      if (typeof message === 'string') assert.equal(plain, message);
      else assert.match(plain, message);
    });
  }
}
