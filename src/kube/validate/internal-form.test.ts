import assert from 'node:assert/strict';
import { test } from 'node:test';

import { goJson } from '../../base/go-json.ts';
import { createObject } from '../fixtures/create-object.ts';
import type { JsonObject } from '../json/json-object.ts';
import type { KubeObject } from '../object.ts';
import { findKind } from '../resources.ts';
import { validateUpdate } from '../validate/validate-object.ts';
import { internalPodSpec } from './internal-form.ts';

const job = (image: string): KubeObject =>
  createObject({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'j' },
    spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'a', image }] } } },
  });

test('a changed template of a Job is shown as the server holds it', () => {
  const resource = findKind('batch/v1', 'Job');
  assert.ok(resource !== undefined);
  const [error] = validateUpdate(job('z:1'), job('y:1'), resource);
  assert.equal(error?.field, 'spec.template');
  assert.ok(
    error?.message.includes(
      '"Spec":{"Volumes":null,"InitContainers":null,"Containers":[{"Name":"a","Image":"z:1","Command":null,' +
        '"Args":null,"WorkingDir":"","Ports":null,"EnvFrom":null,"Env":null,' +
        '"Resources":{"Limits":null,"Requests":null,"Claims":null},"ResizePolicy":null,',
    ),
    error?.message,
  );
  assert.ok(error?.message.endsWith('"HostnameOverride":null,"SchedulingGroup":null}}: field is immutable'));
});

test('a suspended Job may be told where to run', () => {
  const resource = findKind('batch/v1', 'Job');
  assert.ok(resource !== undefined);
  const old = job('y:1') as KubeObject & { spec: { suspend: boolean; template: { spec: JsonObject } } };
  old.spec.suspend = true;
  const placed = structuredClone(old);
  placed.spec.template.spec['nodeSelector'] = { disk: 'ssd' };
  assert.deepEqual(validateUpdate(placed, old, resource), []);
});

test("the host's namespaces stand with the security context", () => {
  const { SecurityContext } = internalPodSpec({ hostNetwork: true, securityContext: { runAsUser: 5 } });
  assert.partialDeepStrictEqual(SecurityContext, {
    HostNetwork: true,
    HostPID: false,
    RunAsUser: 5,
    FSGroup: null,
  });
});

test('markup is escaped as Go does', () => {
  assert.equal(goJson({ a: '<b>&' }), '{"a":"\\u003cb\\u003e\\u0026"}');
});
