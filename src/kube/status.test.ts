import assert from 'node:assert/strict';
import { test } from 'node:test';

import { duplicateValue, invalidValue, notSupported, required, tooLong, tooMany } from './field-error.ts';
import {
  alreadyExists,
  badRequest,
  conflict,
  deleted,
  forbidden,
  forbiddenPath,
  internalError,
  invalid,
  methodNotAllowed,
  noNameFound,
  notAcceptable,
  notFound,
  resourceExpired,
  resourceVersionTooLarge,
  unauthorized,
  unknownResource,
  unprocessable,
  unsupportedMediaType,
  unsupportedPatchType,
  type StatusError,
} from './status.ts';

const pods = { group: '', resource: 'pods', kind: 'Pod' };
const deployments = { group: 'apps', resource: 'deployments', kind: 'Deployment' };

const answers: [string, StatusError, object][] = [
  [
    'not found',
    notFound(deployments, 'nosuch'),
    {
      message: 'deployments.apps "nosuch" not found',
      reason: 'NotFound',
      details: { name: 'nosuch', group: 'apps', kind: 'deployments' },
      code: 404,
    },
  ],
  [
    'no generated name that is free',
    noNameFound(pods, 'gen-abcde'),
    {
      status: 'Failure',
      message:
        'pods "gen-abcde" already exists, the server was not able to generate a unique name for the object',
      reason: 'AlreadyExists',
      details: { name: 'gen-abcde', kind: 'pods', retryAfterSeconds: 1 },
      code: 409,
    },
  ],
  [
    'already exists',
    alreadyExists(pods, 'upd'),
    {
      message: 'pods "upd" already exists',
      reason: 'AlreadyExists',
      details: { name: 'upd', kind: 'pods' },
      code: 409,
    },
  ],
  [
    'conflict',
    conflict({ group: '', resource: 'configmaps' }, 'c1'),
    {
      message:
        'Operation cannot be fulfilled on configmaps "c1": the object has been modified; please apply your changes to the latest version and try again',
      reason: 'Conflict',
      details: { name: 'c1', kind: 'configmaps' },
      code: 409,
    },
  ],
  [
    'forbidden without a name',
    forbidden(
      { group: '', resource: 'secrets' },
      '',
      'User "system:node:n1" cannot list resource "secrets" in API group "" in the namespace "demo": No Object name found',
    ),
    {
      message:
        'secrets is forbidden: User "system:node:n1" cannot list resource "secrets" in API group "" in the namespace "demo": No Object name found',
      reason: 'Forbidden',
      details: { kind: 'secrets' },
      code: 403,
    },
  ],
  [
    'forbidden with a name',
    forbidden({ group: '', resource: 'namespaces' }, 'default', 'this namespace may not be deleted'),
    {
      message: 'namespaces "default" is forbidden: this namespace may not be deleted',
      reason: 'Forbidden',
      details: { name: 'default', kind: 'namespaces' },
      code: 403,
    },
  ],
  [
    'forbidden path',
    forbiddenPath('system:serviceaccount:demo:default', 'get', '/metrics'),
    {
      message: 'forbidden: User "system:serviceaccount:demo:default" cannot get path "/metrics"',
      reason: 'Forbidden',
      details: {},
      code: 403,
    },
  ],
  ['unauthorized', unauthorized(), { message: 'Unauthorized', reason: 'Unauthorized', code: 401 }],
  ['bad request', badRequest('found it bad'), { message: 'found it bad', reason: 'BadRequest', code: 400 }],
  [
    'method not allowed',
    methodNotAllowed(),
    {
      message: 'the server does not allow this method on the requested resource',
      reason: 'MethodNotAllowed',
      details: {},
      code: 405,
    },
  ],
  [
    'not acceptable',
    notAcceptable(['application/json', 'application/yaml']),
    {
      message: '406: Not Acceptable\n\nAvailable representations: application/json, application/yaml',
      reason: 'NotAcceptable',
      details: {},
      code: 406,
    },
  ],
  [
    'unsupported media type of a body',
    unsupportedMediaType(['application/json', 'application/yaml']),
    {
      message:
        'the body of the request was in an unknown format - accepted media types include: application/json, application/yaml',
      reason: 'UnsupportedMediaType',
      code: 415,
    },
  ],
  [
    'unsupported media type of a patch',
    unsupportedPatchType(),
    { message: '415: Unsupported Media Type', reason: 'UnsupportedMediaType', details: {}, code: 415 },
  ],
  [
    'expired',
    resourceExpired('The resourceVersion for the provided list is too old.'),
    { message: 'The resourceVersion for the provided list is too old.', reason: 'Expired', code: 410 },
  ],
  [
    'resource version too large',
    resourceVersionTooLarge(999_999_999, 4323),
    {
      message: 'Timeout: Too large resource version: 999999999, current: 4323',
      reason: 'Timeout',
      details: {
        causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
        retryAfterSeconds: 1,
      },
      code: 504,
    },
  ],
  [
    'unknown resource',
    unknownResource(),
    {
      message: 'the server could not find the requested resource',
      reason: 'NotFound',
      details: {},
      code: 404,
    },
  ],
  [
    'unprocessable',
    unprocessable(),
    {
      message: 'the server rejected our request due to an error in our request',
      reason: 'Invalid',
      details: {},
      code: 422,
    },
  ],
  [
    'internal error',
    internalError('etcd is gone'),
    {
      message: 'Internal error occurred: etcd is gone',
      reason: 'InternalError',
      details: { causes: [{ message: 'etcd is gone' }] },
      code: 500,
    },
  ],
];

for (const [name, error, expected] of answers) {
  test(`${name} is answered as a real server does`, () => {
    assert.deepEqual(error.status, {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      ...expected,
    });
    assert.equal(error.code, error.status.reason ?? '');
  });
}

test('invalid says each finding once in its message and keeps every cause', () => {
  const error = invalidValue('metadata.uid', 'x', 'field is immutable');
  const { status } = invalid(pods, 'p', [error, error]);
  assert.equal(status.message, 'Pod "p" is invalid: metadata.uid: Invalid value: "x": field is immutable');
  assert.equal(status.details?.causes?.length, 2);
});

test('invalid lists several findings in brackets and leaves an empty name out of the details', () => {
  const { status } = invalid({ group: 'apps', kind: 'Deployment' }, '', [
    required('spec.selector'),
    duplicateValue('spec.x', 'a'),
  ]);
  assert.equal(
    status.message,
    'Deployment.apps "" is invalid: [spec.selector: Required value, spec.x: Duplicate value: "a"]',
  );
  assert.deepEqual(Object.keys(status.details ?? {}), ['group', 'kind', 'causes']);
});

test('field errors are worded as the API words them', () => {
  assert.equal(
    notSupported('p', 'x', ['A', 'B']).message,
    'Unsupported value: "x": supported values: "A", "B"',
  );
  assert.equal(
    notSupported('p', ['Some'], ['All']).message,
    'Unsupported value: ["Some"]: supported values: "All"',
  );
  assert.equal(invalidValue('p', -1, 'must be 0').message, 'Invalid value: -1: must be 0');
  assert.equal(invalidValue('p', { a: 1 }, 'no').message, 'Invalid value: {"a":1}: no');
  assert.equal(tooLong('p', 128).message, 'Too long: may not be more than 128 bytes');
  assert.equal(tooMany('p', 3, 2).message, 'Too many: 3: must have at most 2 items');
});

test('a completed delete names what went', () => {
  assert.deepEqual(deleted(pods, 'p', 'u').details, { name: 'p', kind: 'pods', uid: 'u' });
});
