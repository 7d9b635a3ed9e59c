import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateNode, validateNodeUpdate } from './nodes.ts';
import type { FieldError } from '../field-error.ts';

const texts = (errors: readonly FieldError[]): string[] =>
  errors.map(({ field, message }) => `${field}: ${message}`);

test('what a Node has is not negative, and whole where parts make no sense', () => {
  const status = {
    capacity: { cpu: '-1', pods: '1500m', 'example.com/gpu': '2500m', memory: '1500m' },
    allocatable: { cpu: '-2' },
  };
  const told = [
    'status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0',
    'status.capacity.example.com/gpu: Invalid value: "2500m": must be an integer',
    'status.capacity.pods: Invalid value: "1500m": must be an integer',
    'status.allocatable.cpu: Invalid value: "-2": must be greater than or equal to 0',
  ];
  assert.deepEqual(texts(validateNode({ status })), told);
  assert.deepEqual(texts(validateNodeUpdate({ status }, {})), told);
});

test('a Node says each address once', () => {
  const address = { type: 'InternalIP', address: '10.0.0.1' };
  const addresses = [address, { ...address, type: 'Hostname' }, address];
  assert.deepEqual(texts(validateNodeUpdate({ status: { addresses } }, {})), [
    'status.addresses[2]: Duplicate value: {"Type":"InternalIP","Address":"10.0.0.1"}',
  ]);
});

test('a Node has one range of Pods for each family of addresses', () => {
  const ranges = (...podCIDRs: string[]): string[] => texts(validateNode({ spec: { podCIDRs } }));
  const why = 'may specify no more than one CIDR for each IP family';
  assert.deepEqual(ranges('10.0.0.0/24', 'fd00::/64'), []);
  assert.deepEqual(ranges('10.0.0.0/24', '10.0.1.0/24'), [
    `spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: ${why}`,
  ]);
});
