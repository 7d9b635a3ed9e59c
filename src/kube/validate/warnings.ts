import { goQuote } from '../../base/go-quote.ts';
import { objectAt, stringAt, stringMapAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { labelNameFaults } from './name-rules.ts';
import { claimWarnings, fractionWarnings, podWarnings } from './pod-warnings.ts';

/** Where each kind that makes Pods keeps their template. */
const TEMPLATES: ReadonlyMap<string, readonly string[]> = new Map([
  ['ReplicationController', ['spec', 'template']],
  ['ReplicaSet', ['spec', 'template']],
  ['Deployment', ['spec', 'template']],
  ['StatefulSet', ['spec', 'template']],
  ['DaemonSet', ['spec', 'template']],
  ['Job', ['spec', 'template']],
  ['CronJob', ['spec', 'jobTemplate', 'spec', 'template']],
  ['PodTemplate', ['template']],
]);

/**
 * Returns texts for `Warning` headers that a valid object still deserves (rule 2.8).
 *
 * @param old the object as it was; absent for a new one. What did not change is not told again.
 */
export function warningsFor(object: JsonObject, kind: string, old?: JsonObject): string[] {
  const warnings = old === undefined ? hostnameWarnings(object, kind) : [];
  if (kind === 'Pod') return old === undefined ? [...warnings, ...podWarnings(object, '')] : warnings;
  const path = TEMPLATES.get(kind);
  if (path === undefined) return [...warnings, ...otherWarnings(object, kind)];
  if (old !== undefined && generationOf(object) === generationOf(old)) return warnings;
  let template: JsonObject | undefined = object;
  for (const step of path) template = objectAt(template, step);
  return template === undefined ? warnings : [...warnings, ...podWarnings(template, `${path.join('.')}.`)];
}

/** Warns of finalizers of a custom object that do not say whose they are; those of built-in kinds are refused. */
export function finalizerWarnings(object: JsonObject, old?: JsonObject): string[] {
  const before = stringsAt(objectAt(old ?? {}, 'metadata'), 'finalizers');
  return stringsAt(objectAt(object, 'metadata'), 'finalizers')
    .filter((name) => !before.includes(name) && !['orphan', 'foregroundDeletion'].includes(name))
    .filter((name) => !name.includes('/'))
    .map(
      (name) =>
        `metadata.finalizers: ${goQuote(name)}: prefer a domain-qualified finalizer name including a path (/) ` +
        'to avoid accidental conflicts with other finalizer writers',
    );
}

function generationOf(object: JsonObject): unknown {
  return objectAt(object, 'metadata')?.['generation'];
}

const OLD_CLASS = 'volume.beta.kubernetes.io/storage-class';
const MOUNTABLE = 'kubernetes.io/enforce-mountable-secrets';

function otherWarnings(object: JsonObject, kind: string): string[] {
  const spec = objectAt(object, 'spec') ?? {};
  const annotations = stringMapAt(objectAt(object, 'metadata'), 'annotations');
  const ofAnnotation = (key: string, why: string): string[] =>
    Object.hasOwn(annotations, key) ? [`metadata.annotations[${key}]: ${why}`] : [];
  switch (kind) {
    case 'PersistentVolumeClaim':
      return claimWarnings(spec, 'spec');
    case 'PersistentVolume': {
      const warnings = ofAnnotation(
        OLD_CLASS,
        'deprecated since v1.8; use "storageClassName" attribute instead',
      );
      if (spec['persistentVolumeReclaimPolicy'] === 'Recycle') {
        warnings.push(
          'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended ' +
            'approach is to use dynamic provisioning.',
        );
      }
      return [...warnings, ...fractionWarnings(objectAt(spec, 'capacity'), 'spec.capacity', ['storage'])];
    }
    case 'ServiceAccount':
      return ofAnnotation(
        MOUNTABLE,
        'deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets',
      );
    case 'Node': {
      const warnings = [];
      if (spec['configSource'] !== undefined) {
        warnings.push('spec.configSource: the feature is no longer supported');
      }
      if (stringAt(spec, 'externalID') !== '') {
        warnings.push('spec.externalID: this field is deprecated, and is unused by Kubernetes');
      }
      return warnings;
    }
    default:
      return [];
  }
}

function hostnameWarnings(object: JsonObject, kind: string): string[] {
  const name = stringAt(objectAt(object, 'metadata'), 'name');
  if (name === '' || (kind !== 'Pod' && (!TEMPLATES.has(kind) || kind === 'PodTemplate'))) return [];
  const faults = name.includes('.') ? ['must not contain dots'] : labelNameFaults(name);
  if (faults.length === 0) return [];
  const use = kind === 'Pod' ? "the Pod's hostname" : 'Pod names and hostnames';
  return [
    `metadata.name: this is used in ${use}, which can result in surprising behavior; a DNS label is recommended: ` +
      `[${faults.join(' ')}]`,
  ];
}
