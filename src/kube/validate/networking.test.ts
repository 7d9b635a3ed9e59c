import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { JsonObject } from '../json/json-object.ts';
import {
  validateIngress,
  validateIngressClass,
  validateIngressClassUpdate,
  validateNetworkPolicy,
} from './networking.ts';

const backend = { service: { name: 'web', port: { number: 80 } } };
const path = (parts: object): JsonObject => ({
  spec: {
    rules: [{ host: 'a.example', http: { paths: [{ path: '/', pathType: 'Prefix', backend, ...parts }] } }],
  },
});
const at = 'spec.rules[0].http.paths[0]';

type Check = (object: JsonObject) => { field: string; message: string }[];
const cases: [string, Check, JsonObject, string[]][] = [
  ['a path to a Service', validateIngress, path({}), []],
  [
    'an Ingress that says nothing',
    validateIngress,
    { spec: {} },
    ['spec: Invalid value: {}: either `defaultBackend` or `rules` must be specified'],
  ],
  [
    'a path without its type',
    validateIngress,
    path({ pathType: undefined }),
    [`${at}.pathType: Required value: pathType must be specified`],
  ],
  [
    'a type of path that is none',
    validateIngress,
    path({ pathType: 'Regex' }),
    [
      `${at}.pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"`,
    ],
  ],
  [
    'a relative path',
    validateIngress,
    path({ path: 'a' }),
    [`${at}.path: Invalid value: "a": must be an absolute path`],
  ],
  [
    'a path that proxies read differently',
    validateIngress,
    path({ path: '/a//b/..' }),
    [
      `${at}.path: Invalid value: "/a//b/..": must not contain '//'`,
      `${at}.path: Invalid value: "/a//b/..": cannot end with '/..'`,
    ],
  ],
  [
    'any path that a controller understands',
    validateIngress,
    path({ path: '', pathType: 'ImplementationSpecific' }),
    [],
  ],
  [
    'a Service without port',
    validateIngress,
    path({ backend: { service: { name: 'web' } } }),
    [`${at}.backend: Required value: port name or number is required`],
  ],
  [
    'a port by name and number',
    validateIngress,
    path({ backend: { service: { name: 'web', port: { name: 'http', number: 80 } } } }),
    [`${at}.backend: Invalid value: "": cannot set both port name & port number`],
  ],
  [
    'two backends at once',
    validateIngress,
    path({ backend: { ...backend, resource: { kind: 'Bucket', name: 'b' } } }),
    [`${at}.backend: Invalid value: "": cannot set both resource and service backends`],
  ],
  [
    'an address for a host',
    validateIngress,
    { spec: { rules: [{ host: '10.0.0.1' }] } },
    ['spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'],
  ],
  ['a wildcard host', validateIngress, { spec: { rules: [{ host: '*.a.example' }] } }, []],
  [
    'a class that says who acts on it',
    validateIngressClass,
    { spec: { controller: 'example.com/ingress' } },
    [],
  ],
  [
    'a controller without domain',
    validateIngressClass,
    { spec: { controller: 'nginx' } },
    ['spec.controller: Invalid value: "nginx": must be a domain-prefixed path (such as "acme.io/foo")'],
  ],
  [
    'parameters of a namespace that is not named',
    validateIngressClass,
    { spec: { controller: 'a.b/c', parameters: { kind: 'K', name: 'n', scope: 'Namespace' } } },
    ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
  ],
  [
    'a policy that lets nothing in',
    validateNetworkPolicy,
    { spec: { podSelector: {}, policyTypes: ['Ingress'] } },
    [],
  ],
  [
    'a peer that is nobody',
    validateNetworkPolicy,
    { spec: { podSelector: {}, ingress: [{ from: [{}] }] } },
    ['spec.ingress[0].from[0]: Required value: must specify a peer'],
  ],
  [
    'addresses and a selector in one peer',
    validateNetworkPolicy,
    { spec: { egress: [{ to: [{ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }] }] } },
    ['spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer'],
  ],
  [
    'an exception outside its block',
    validateNetworkPolicy,
    {
      spec: {
        egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16', '11.0.0.0/16'] } }] }],
      },
    },
    [
      'spec.egress[0].to[0].ipBlock.except[1]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
    ],
  ],
  [
    'a range of ports that ends before it begins',
    validateNetworkPolicy,
    { spec: { ingress: [{ ports: [{ protocol: 'TCP', port: 90, endPort: 80 }] }] } },
    ['spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`'],
  ],
  [
    'a direction that is none',
    validateNetworkPolicy,
    { spec: { policyTypes: ['Sideways'] } },
    ['spec.policyTypes[0]: Unsupported value: "Sideways": supported values: "Egress", "Ingress"'],
  ],
];
for (const [name, check, object, expected] of cases) {
  test(`${name}: ${expected.length === 0 ? 'fine' : 'refused'}`, () => {
    assert.deepEqual(
      check(object).map(({ field, message }) => `${field}: ${message}`),
      expected,
    );
  });
}

test('the controller of a class stays', () => {
  const of = (controller: string): JsonObject => ({ spec: { controller } });
  assert.deepEqual(validateIngressClassUpdate(of('a.b/c'), of('a.b/c')), []);
  assert.equal(validateIngressClassUpdate(of('a.b/c'), of('a.b/d'))[0]?.field, 'spec.controller');
});
