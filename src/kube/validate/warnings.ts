import { goQuote } from '../../base/go-quote.ts';
import { objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { labelNameFaults } from './name-rules.ts';

/** Where each kind keeps its Pod description. */
const POD_SPECS: ReadonlyMap<string, readonly string[]> = new Map([
  ['Pod', ['spec']],
  ['ReplicationController', ['spec', 'template', 'spec']],
  ['ReplicaSet', ['spec', 'template', 'spec']],
  ['Deployment', ['spec', 'template', 'spec']],
  ['StatefulSet', ['spec', 'template', 'spec']],
  ['DaemonSet', ['spec', 'template', 'spec']],
  ['Job', ['spec', 'template', 'spec']],
  ['CronJob', ['spec', 'jobTemplate', 'spec', 'template', 'spec']],
]);

/** Texts for `Warning` headers that a valid object still deserves (rule 2.8). */
export function warningsFor(object: JsonObject, kind: string, created: boolean): string[] {
  const warnings = finalizerWarnings(objectAt(object, 'metadata'));
  if (created) warnings.push(...hostnameWarnings(object, kind));
  const path = POD_SPECS.get(kind);
  if (path === undefined) return warnings;
  let spec: JsonObject | undefined = object;
  for (const step of path) spec = objectAt(spec, step);
  return spec === undefined ? warnings : [...warnings, ...podWarnings(spec, path.join('.'))];
}

function podWarnings(spec: JsonObject, path: string): string[] {
  const warnings: string[] = [];
  const grace = spec['terminationGracePeriodSeconds'];
  if (typeof grace === 'number' && grace < 0) {
    warnings.push(
      `${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
    );
  }
  warnings.push(...pullSecretWarnings(objectsAt(spec, 'imagePullSecrets'), `${path}.imagePullSecrets`));
  for (const list of ['initContainers', 'containers', 'ephemeralContainers']) {
    objectsAt(spec, list).forEach((container, index) => {
      const at = `${path}.${list}[${index}]`;
      warnings.push(...envWarnings(objectsAt(container, 'env'), `${at}.env`));
      warnings.push(...memoryWarnings(objectAt(container, 'resources'), `${at}.resources`));
      warnings.push(...portWarnings(objectsAt(container, 'ports'), `${at}.ports`));
    });
  }
  return warnings;
}

function pullSecretWarnings(secrets: readonly JsonObject[], path: string): string[] {
  const seen = new Set<string>();
  return secrets.flatMap((secret, index) => {
    const name = stringAt(secret, 'name');
    if (name === '') return [`${path}[${index}].name: invalid empty name ${goQuote(name)}`];
    if (seen.has(name)) return [`${path}[${index}].name: duplicate name ${goQuote(name)}`];
    seen.add(name);
    return [];
  });
}

function envWarnings(env: readonly JsonObject[], path: string): string[] {
  const earlier = new Map<string, string[]>();
  return env.flatMap((entry, index) => {
    const name = stringAt(entry, 'name');
    const values = earlier.get(name);
    const value = stringAt(entry, 'value');
    earlier.set(name, [...(values ?? []), value]);
    // A value built from the earlier one, such as PATH=/x:$(PATH), means to hide it.
    if (values === undefined || value.includes(`$(${name})`)) return [];
    return [
      `${path}[${index}]: hides previous definition of ${goQuote(name)}, which may be dropped when using apply`,
    ];
  });
}

function memoryWarnings(resources: JsonObject | undefined, path: string): string[] {
  return ['limits', 'requests'].flatMap((kind) => {
    const amount = objectAt(resources, kind)?.['memory'];
    if (typeof amount !== 'string' || !amount.endsWith('m')) return [];
    return [
      `${path}.${kind}[memory]: fractional byte value ${goQuote(amount)} is invalid, must be an integer`,
    ];
  });
}

function portWarnings(ports: readonly JsonObject[], path: string): string[] {
  const seen = new Map<string, number>();
  return ports.flatMap((port, index) => {
    const key = [
      stringAt(port, 'protocol'),
      port['containerPort'],
      port['hostPort'],
      stringAt(port, 'hostIP'),
    ].join('/');
    const first = seen.get(key);
    seen.set(key, first ?? index);
    return first === undefined ? [] : [`${path}[${index}]: duplicate port definition with ${path}[${first}]`];
  });
}

function finalizerWarnings(metadata: JsonObject | undefined): string[] {
  return stringsAt(metadata, 'finalizers')
    .filter((name) => !name.includes('/') && !['orphan', 'foregroundDeletion', 'kubernetes'].includes(name))
    .map(
      (name) =>
        `metadata.finalizers: ${goQuote(name)}: prefer a domain-qualified finalizer name including a path (/) ` +
        'to avoid accidental conflicts with other finalizer writers',
    );
}

const NAMES_PODS = new Set([
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'ReplicationController',
  'CronJob',
]);

function hostnameWarnings(object: JsonObject, kind: string): string[] {
  const name = stringAt(objectAt(object, 'metadata'), 'name');
  if (name === '' || (kind !== 'Pod' && !NAMES_PODS.has(kind))) return [];
  const faults = name.includes('.') ? ['must not contain dots'] : labelNameFaults(name);
  if (faults.length === 0) return [];
  const use = kind === 'Pod' ? "the Pod's hostname" : 'Pod names and hostnames';
  return [
    `metadata.name: this is used in ${use}, which can result in surprising behavior; a DNS label is recommended: ` +
      `[${faults.join(' ')}]`,
  ];
}
