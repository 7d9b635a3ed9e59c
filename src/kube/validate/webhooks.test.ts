import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../json/json-object.ts';
import { validatePolicyBinding, validateValidatingPolicy } from './admission-policies.ts';
import { validateWebhookConfiguration } from './webhooks.ts';

const texts = (errors: readonly { field: string; message: string }[]): string[] =>
  errors.map(({ field, message }) => `${field}: ${message}`);

const RULE = { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] };
const WEBHOOK = {
  name: 'a.b.c',
  clientConfig: { url: 'https://x/y' },
  rules: [RULE],
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
};

const webhookCases: readonly (readonly [string, JsonObject, readonly string[]])[] = [
  ['a valid one', {}, []],
  ['no name', { name: '' }, ['webhooks[0].name: Required value']],
  [
    'a short name',
    { name: 'a.b' },
    [
      'webhooks[0].name: Invalid value: "a.b": should be a domain with at least three segments separated by dots',
    ],
  ],
  [
    'no versions',
    { admissionReviewVersions: [] },
    ['webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1'],
  ],
  [
    'an unknown version',
    { admissionReviewVersions: ['v2'] },
    ['webhooks[0].admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1'],
  ],
  [
    'a time-out that is too long',
    { timeoutSeconds: 31 },
    ['webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds'],
  ],
  [
    'side effects of old',
    { sideEffects: 'Some' },
    ['webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'],
  ],
  [
    'side effects left out',
    { sideEffects: undefined },
    ['webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun'],
  ],
  [
    'plain HTTP',
    { clientConfig: { url: 'http://x/y' } },
    [
      `webhooks[0].clientConfig.url: Invalid value: "http": 'https' is the only allowed URL scheme; desired format: https://host[:port]/path`,
    ],
  ],
  [
    'a query and a password, which is not repeated',
    { clientConfig: { url: 'https://u:secret@x/y?a=b' } },
    [
      'webhooks[0].clientConfig.url: Invalid value: "": user information is not permitted in the URL',
      'webhooks[0].clientConfig.url: Invalid value: "a=b": query parameters are not permitted in the URL',
    ],
  ],
  [
    'no client',
    { clientConfig: {} },
    ['webhooks[0].clientConfig: Required value: exactly one of url or service is required'],
  ],
  [
    'a service without a name',
    { clientConfig: { service: { namespace: 'n', name: '' } } },
    ['webhooks[0].clientConfig.service.name: Required value: service name is required'],
  ],
  [
    'rules that say nothing or too much',
    {
      rules: [
        {
          operations: ['*', 'CREATE', 'PATCH'],
          apiGroups: [],
          apiVersions: ['v1'],
          resources: ['*', 'pods'],
        },
      ],
    },
    [
      `webhooks[0].rules[0].operations: Invalid value: ["*","CREATE","PATCH"]: if '*' is present, must not specify other operations`,
      'webhooks[0].rules[0].operations[2]: Unsupported value: "PATCH": supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"',
      'webhooks[0].rules[0].apiGroups: Required value',
      `webhooks[0].rules[0].resources: Invalid value: ["*","pods"]: if '*' is present, must not specify other resources without subresources`,
    ],
  ],
  [
    'a condition that is no condition',
    { matchConditions: [{ name: 'x', expression: '1' }] },
    ['webhooks[0].matchConditions[0].expression: Invalid value: "1": must evaluate to bool'],
  ],
  [
    'a condition that cannot be compiled',
    { matchConditions: [{ name: 'x', expression: 'params.a' }] },
    [
      `webhooks[0].matchConditions[0].expression: Invalid value: "params.a": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in container '')\n | params.a\n | ^`,
    ],
  ],
];

test('webhook configurations are checked with the texts of kube-apiserver', () => {
  for (const [name, change, expected] of webhookCases) {
    const configuration = { kind: 'ValidatingWebhookConfiguration', webhooks: [{ ...WEBHOOK, ...change }] };
    assert.deepEqual(texts(validateWebhookConfiguration(configuration)), expected, name);
  }
  const twice = { kind: 'ValidatingWebhookConfiguration', webhooks: [WEBHOOK, WEBHOOK] };
  assert.deepEqual(texts(validateWebhookConfiguration(twice)), [
    'webhooks[1].name: Duplicate value: "a.b.c"',
  ]);
});

const MATCH = { matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {}, resourceRules: [RULE] };
const SPEC = {
  failurePolicy: 'Fail',
  matchConstraints: MATCH,
  validations: [{ expression: 'object != null' }],
};

const policyCases: readonly (readonly [string, JsonObject, readonly string[]])[] = [
  ['a valid one', {}, []],
  [
    'nothing to check',
    { validations: [] },
    [
      'spec.validations: Required value: validations or auditAnnotations must contain at least one item',
      'spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item',
    ],
  ],
  ['nothing to match', { matchConstraints: undefined }, ['spec.matchConstraints: Required value']],
  [
    'an empty expression',
    { validations: [{ expression: ' ' }] },
    ['spec.validations[0].expression: Required value: expression is not specified'],
  ],
  [
    'a message of two lines',
    { validations: [{ expression: 'true', message: 'a\nb' }] },
    ['spec.validations[0].message: Invalid value: "a\\nb": message must not contain line breaks'],
  ],
  [
    'an expression of two lines without a message',
    { validations: [{ expression: 'true &&\ntrue' }] },
    [
      'spec.validations[0].message: Required value: message must be specified if expression contains line breaks',
    ],
  ],
  [
    'an unknown reason',
    { validations: [{ expression: 'true', reason: 'Because' }] },
    [
      'spec.validations[0].reason: Unsupported value: "Because": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"',
    ],
  ],
  [
    'a message expression that is no text',
    { validations: [{ expression: 'true', messageExpression: '1' }] },
    ['spec.validations[0].messageExpression: Invalid value: "1": must evaluate to string'],
  ],
  [
    'variables that are none',
    {
      variables: [
        { name: 'a-b', expression: '1' },
        { name: '', expression: '' },
      ],
    },
    [
      'spec.variables[0].name: Invalid value: "a-b": name is not a valid CEL identifier',
      'spec.variables[1].name: Required value: name is not specified',
      'spec.variables[1].expression: Required value: expression is not specified',
    ],
  ],
];

test('admission policies are checked with the texts of kube-apiserver', () => {
  for (const [name, change, expected] of policyCases) {
    assert.deepEqual(texts(validateValidatingPolicy({ spec: { ...SPEC, ...change } })), expected, name);
  }
});

test('bindings say what follows, once, and where parameters are', () => {
  const check = (spec: JsonObject): string[] =>
    texts(validatePolicyBinding({ kind: 'ValidatingAdmissionPolicyBinding', spec }));
  assert.deepEqual(check({ policyName: 'p', validationActions: ['Deny', 'Audit'] }), []);
  assert.deepEqual(check({}), [
    'spec.policyName: Required value',
    'spec.validationActions: Required value: at least one validation action is required',
  ]);
  assert.match(
    check({ policyName: 'p', validationActions: ['Deny', 'Warn'] }).join(),
    /must not contain both Deny and Warn/,
  );
  assert.deepEqual(
    check({ policyName: 'p', validationActions: ['Deny'], paramRef: { name: 'a', selector: {} } }),
    [
      'spec.paramRef.name: Forbidden: name and selector are mutually exclusive',
      'spec.paramRef.selector: Forbidden: name and selector are mutually exclusive',
      'spec.paramRef.parameterNotFoundAction: Required value: parameterNotFoundAction is required',
    ],
  );
});
