import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startTestApi, type TestApi } from '../support/test-api.ts';
import { refuses } from './refusals.ts';

let api: TestApi;
const DEMO = '/api/v1/namespaces/demo';
const MAPS = `${DEMO}/configmaps`;
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/demo/leases';
const NOT_INVALID = 'is invalid: ';
const list = (why: string): string => `ListOptions.meta.k8s.io "" ${NOT_INVALID}${why}`;
const OLDER = 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan';
const MATCH = 'resourceVersionMatch: Forbidden: ';
const ONLY_NOT_OLDER = 'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"';

before(async () => {
  api = await startTestApi();
  await api.send('POST', '/api/v1/namespaces', { body: { metadata: { name: 'demo' } } });
  await api.send('POST', MAPS, { body: { metadata: { name: 'one' }, data: { b: '1' } } });
  await api.send('POST', LEASES, { body: { metadata: { name: 'one' }, spec: {} } });
});
after(() => api.close());

describe('an object is not read', () => {
  refuses(
    () => api,
    [
      [
        'at a version that is none',
        `GET ${MAPS}/one?resourceVersion=x`,
        undefined,
        500,
        'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
      ],
      [
        'newer than anything that is there',
        `GET ${MAPS}/one?resourceVersion=999999999`,
        undefined,
        504,
        /^Timeout: Too large resource version: 999999999, current: \d+$/,
      ],
      ['but as new as now, or in any state', `GET ${MAPS}/one?resourceVersion=1`, undefined, 200, ''],
      ['and in any state', `GET ${MAPS}/one?resourceVersion=0`, undefined, 200, ''],
    ],
  );
});

describe('lists and watches refuse parameters that do not go together:', () => {
  refuses(
    () => api,
    [
      [
        'a match of a watch without initial events',
        `GET ${MAPS}?watch=1&resourceVersionMatch=Exact`,
        undefined,
        422,
        list(
          `[${MATCH}resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided, ${ONLY_NOT_OLDER}]`,
        ),
      ],
      [
        'initial events that are to be exact',
        `GET ${MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=Exact`,
        undefined,
        422,
        list(`[${MATCH}${OLDER}, ${ONLY_NOT_OLDER}]`),
      ],
      [
        'a watch that goes on from a token',
        `GET ${MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x`,
        undefined,
        422,
        list(`${MATCH}resourceVersionMatch is forbidden when continue is provided`),
      ],
      [
        'a list with a match that is none, and initial events',
        `GET ${MAPS}?resourceVersion=1&resourceVersionMatch=Bogus&sendInitialEvents=false`,
        undefined,
        422,
        list(
          '[resourceVersionMatch: Unsupported value: "Bogus": supported values: "Exact", "NotOlderThan", "", ' +
            'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list]',
        ),
      ],
      [
        'a token with a lone byte of base64',
        `GET ${MAPS}?continue=abcde`,
        undefined,
        400,
        'invalid continue token: continue key is not valid: illegal base64 data at input byte 4',
      ],
      [
        'a token with padding',
        `GET ${MAPS}?continue=YQ==`,
        undefined,
        400,
        'invalid continue token: continue key is not valid: illegal base64 data at input byte 2',
      ],
      [
        'a field selector with an equals sign in its value',
        `GET ${MAPS}?fieldSelector=metadata.name%3Da%3Db`,
        undefined,
        400,
        'invalid field selector: unescaped character in value: 61',
      ],
      [
        'a field selector whose terms are read in their order by name',
        `GET ${MAPS}?fieldSelector=zz,aa`,
        undefined,
        400,
        "invalid selector: 'zz,aa'; can't understand 'aa'",
      ],
    ],
  );
});

describe('writes refuse options that make no sense:', () => {
  const invalid = 'Unsupported value: ["x"]: supported values: "All"';
  refuses(
    () => api,
    [
      [
        'a field manager that does not print',
        `POST ${MAPS}?fieldManager=%C3%A9a%0Ab%07`,
        { metadata: { name: 'x' } },
        422,
        'CreateOptions.meta.k8s.io "" is invalid: [fieldManager: Invalid value: "éa\\nb\\a": invalid character U+000A (at position 3), ' +
          'fieldManager: Invalid value: "éa\\nb\\a": invalid character U+0007 (at position 5)]',
      ],
      [
        'all options of a patch at once',
        `MERGE ${MAPS}/one?force=true&dryRun=x&fieldValidation=y`,
        {},
        422,
        `PatchOptions.meta.k8s.io "" is invalid: [force: Forbidden: may not be specified for non-apply patch, dryRun: ${invalid}, ` +
          'fieldValidation: Unsupported value: "y": supported values: "", "Ignore", "Strict", "Warn"]',
      ],
      [
        'a delete whose options are no JSON',
        `DELETE ${MAPS}/one`,
        '{',
        500,
        "couldn't get version/kind; json parse error: unexpected end of JSON input",
      ],
      [
        'a delete whose options have the wrong type',
        `DELETE ${MAPS}/one`,
        { gracePeriodSeconds: 'x' },
        500,
        'json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64',
      ],
      [
        'a delete whose options are a Pod',
        `DELETE ${MAPS}/one`,
        { kind: 'Pod', apiVersion: 'v1' },
        500,
        /^no kind "Pod" is registered for version "v1" in scheme /,
      ],
      [
        'a delete of what is not there, with options of another group and unknown fields',
        `DELETE ${MAPS}/nosuch`,
        { kind: 'DeleteOptions', apiVersion: 'apps/v1', bogus: 1 },
        404,
        'configmaps "nosuch" not found',
      ],
    ],
  );
});

describe('writes refuse what is not theirs to say:', () => {
  const gone = (key: string, name: string, given: string, actual: string): string =>
    `Operation cannot be fulfilled on configmaps "${name}": StorageError: invalid object, Code: 4, Key: ${key}, ` +
    `ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${given}, UID in object meta: ${actual}`;
  const noName = 'the name of the object (one based on URL) was undeterminable: name must be provided';
  refuses(
    () => api,
    [
      [
        'an update with the uid of another object',
        `PUT ${MAPS}/one`,
        { metadata: { name: 'one', uid: 'x' } },
        409,
        gone('/registry/configmaps/demo/one', 'one', 'x', 'UID'),
      ],
      [
        'an update with a uid of what is not there',
        `PUT ${MAPS}/nosuch`,
        { metadata: { name: 'nosuch', uid: 'x' } },
        409,
        gone('/registry/configmaps/demo/nosuch', 'nosuch', 'x', ''),
      ],
      [
        'an apply with a uid of what is not there',
        `APPLY ${MAPS}/nosuch?fieldManager=m`,
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'nosuch', uid: 'x' } },
        409,
        'Operation cannot be fulfilled on configmaps "nosuch": uid mismatch: the provided object specified uid x, and no existing object was found',
      ],
      ['an update without a name', `PUT ${MAPS}/one`, {}, 400, noName],
      ['a patch that takes the name away', `MERGE ${MAPS}/one`, { metadata: { name: null } }, 400, noName],
      [
        'an update with a resource version that is no number',
        `PUT ${MAPS}/one`,
        { metadata: { name: 'one', resourceVersion: 'abc' } },
        500,
        'strconv.ParseUint: parsing "abc": invalid syntax',
      ],
      [
        'an update without a resource version where one is needed',
        `PUT ${LEASES}/one`,
        { metadata: { name: 'one' }, spec: {} },
        422,
        'leases.coordination.k8s.io "one" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
      ],
      [
        'a change that begins a deletion',
        `MERGE ${MAPS}/one`,
        { metadata: { deletionTimestamp: '2001-01-01T00:00:00Z', deletionGracePeriodSeconds: 2 } },
        422,
        'ConfigMap "one" is invalid: [metadata.deletionTimestamp: Invalid value: "2001-01-01T00:00:00Z": field is immutable, ' +
          'metadata.deletionGracePeriodSeconds: Invalid value: 2: field is immutable]',
      ],
      [
        'a generateName that ends in a dot',
        `POST ${MAPS}`,
        { metadata: { generateName: 'foo.' } },
        422,
        /is invalid: metadata\.generateName: Invalid value: "foo\.": a lowercase RFC 1123 subdomain/,
      ],
    ],
  );

  test('what only the server says is taken from a new object, and nobody owns it', async () => {
    const answer = await api.send('POST', MAPS, {
      body: {
        metadata: {
          name: 'wiped',
          uid: 'x',
          selfLink: '/x',
          resourceVersion: 'abc',
          creationTimestamp: '2001-01-01T00:00:00Z',
          deletionTimestamp: '2001-01-01T00:00:00Z',
          deletionGracePeriodSeconds: 3,
        },
      },
    });
    assert.equal(answer.code, 201, answer.text);
    const { metadata } = answer.json<{ metadata: Record<string, unknown> }>();
    assert.deepEqual(Object.keys(metadata), [
      'name',
      'namespace',
      'uid',
      'resourceVersion',
      'creationTimestamp',
    ]);
    assert.match(String(metadata['uid']), /-/);
  });

  test('a new creation time has no effect', async () => {
    const body = { metadata: { creationTimestamp: '2001-01-01T00:00:00Z' } };
    const contentType = 'application/merge-patch+json';
    const answer = await api.send('PATCH', `${MAPS}/one`, { body, contentType });
    assert.equal(answer.code, 200, answer.text);
    assert.doesNotMatch(answer.text, /2001/);
  });
});

describe('patches refuse what does not become the object:', () => {
  const conversion = /: converting \(v1\.Secret\) to \(core\.ConfigMap\): unknown conversion$/;
  refuses(
    () => api,
    [
      ['a merge patch to another kind', `MERGE ${MAPS}/one`, { kind: 'Secret' }, 422, conversion],
      [
        'a JSON patch to another kind',
        `JSONPATCH ${MAPS}/one`,
        [{ op: 'replace', path: '/kind', value: 'Secret' }],
        422,
        conversion,
      ],
      [
        'a merge patch to a version that there is not',
        `MERGE ${MAPS}/one`,
        { apiVersion: 'v2' },
        422,
        /: no kind "ConfigMap" is registered for version "v2" in scheme "pkg\/api\/legacyscheme\/scheme\.go:30"$/,
      ],
      ['a strategic patch cannot change the kind', `STRATEGIC ${MAPS}/one`, { kind: 'Secret' }, 200, ''],
      [
        'a merge patch that takes the kind away changes nothing',
        `MERGE ${MAPS}/one`,
        { kind: null },
        200,
        '',
      ],
      [
        'a merge patch shows what it went through with sorted keys',
        `MERGE ${MAPS}/one`,
        { data: { a: 5 } },
        422,
        /^ "" is invalid: patch: Invalid value: "\{\\"apiVersion\\":\\"v1\\",\\"data\\":\{\\"a\\":5,\\"b\\":\\"1\\"\},\\"kind\\"/,
      ],
      [
        'a JSON patch whose operation is a number',
        `JSONPATCH ${MAPS}/one`,
        [{ op: 5, path: '/data' }],
        400,
        'error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string',
      ],
      [
        'a JSON patch of texts',
        `JSONPATCH ${MAPS}/one`,
        ['x'],
        400,
        'error decoding patch: json: cannot unmarshal string into Go value of type handlers.jsonPatchOp',
      ],
      [
        'a JSON patch with a field that operations do not have, strictly',
        `JSONPATCH ${MAPS}/one?fieldValidation=Strict`,
        [{ op: 'test', path: '/kind', value: 'ConfigMap', bogus: 1 }],
        422,
        /: strict decoding error: json patch unknown field "\[0\]\.bogus"$/,
      ],
      [
        'a JSON patch with a field that operations do not have is warned of',
        `JSONPATCH ${MAPS}/one`,
        [{ op: 'test', path: '/kind', value: 'ConfigMap', bogus: 1 }],
        200,
        '299 - "json patch unknown field \\"[0].bogus\\""',
      ],
      [
        'a JSON patch that adds without a value',
        `JSONPATCH ${MAPS}/one`,
        [{ op: 'add', path: '/data' }],
        200,
        '',
      ],
    ],
  );
});

describe('strategic patches refuse what cannot be merged:', () => {
  before(async () => {
    const spec = { containers: [{ name: 'a', image: 'x' }], volumes: [{ name: 'v', emptyDir: {} }] };
    await api.send('POST', `${DEMO}/serviceaccounts`, { body: { metadata: { name: 'default' } } });
    const answer = await api.send('POST', `${DEMO}/pods`, { body: { metadata: { name: 'p' }, spec } });
    assert.equal(answer.code, 201, answer.text);
  });
  refuses(
    () => api,
    [
      [
        'keys to retain that are no list',
        `STRATEGIC ${DEMO}/pods/p`,
        { spec: { volumes: [{ name: 'v', $retainKeys: 'x' }] } },
        400,
        'invalid patch format of retainKeys',
      ],
      [
        'a key beside those to retain',
        `STRATEGIC ${DEMO}/pods/p`,
        { spec: { volumes: [{ name: 'v', $retainKeys: ['name'], hostPath: { path: '/x' } }] } },
        400,
        'invalid patch format of retainKeys',
      ],
      [
        'an order that is no list',
        `STRATEGIC ${DEMO}/pods/p`,
        { metadata: { '$setElementOrder/finalizers': 'x' } },
        500,
        'expected a []interface {}, but received a string',
      ],
      [
        'an order of a field that there is not',
        `STRATEGIC ${DEMO}/pods/p`,
        { spec: { '$setElementOrder/boxes': ['x'] } },
        500,
        'unable to find api field in struct PodSpec for the json field "boxes"',
      ],
      [
        'an order that lacks what is changed',
        `STRATEGIC ${DEMO}/pods/p`,
        { spec: { '$setElementOrder/containers': [{ name: 'z' }], containers: [{ name: 'a', image: 'y' }] } },
        500,
        "The order in patch list:\n[map[image:y name:a]]\n doesn't match $setElementOrder list:\n[map[name:z]]\n",
      ],
      [
        'texts among containers',
        `STRATEGIC ${DEMO}/pods/p`,
        { spec: { containers: ['x'] } },
        500,
        /^list element types are not identical: \[\[map\[image:x .*\]\] \[x\]\]$/,
      ],
    ],
  );
});
