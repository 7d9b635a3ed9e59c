import { goQuote } from '../../base/go-quote.ts';
import {
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  stringsAt,
  type JsonObject,
} from '../json/json-object.ts';
import { labelNameFaults } from './name-rules.ts';
import {
  endpointSliceWarnings,
  endpointsWarnings,
  ingressWarnings,
  networkPolicyWarnings,
  nodeAddressWarnings,
  serviceWarnings,
} from './network-warnings.ts';
import { oldLabel } from './placement-warnings.ts';
import { podWarnings } from './pod-warnings.ts';
import { tlsWarnings } from './tls-warnings.ts';
import { claimWarnings, oldClassWarnings, persistentVolumeWarnings } from './volume-warnings.ts';

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
  if (path === undefined) return [...warnings, ...(OTHERS[kind]?.(object, old) ?? [])];
  warnings.push(...(MAKERS[kind]?.(object, old) ?? []));
  if (!isChanged(object, old)) return warnings;
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

function isChanged(object: JsonObject, old: JsonObject | undefined): boolean {
  const generationOf = (one: JsonObject): unknown => objectAt(one, 'metadata')?.['generation'];
  return old === undefined || generationOf(object) !== generationOf(old);
}

const MOUNTABLE = 'kubernetes.io/enforce-mountable-secrets';

type Warnings = (object: JsonObject, old: JsonObject | undefined) => string[];

/** What kinds that make no Pods are warned of. */
const OTHERS: Readonly<Record<string, Warnings | undefined>> = {
  Endpoints: endpointsWarnings,
  EndpointSlice: (slice, old) => endpointSliceWarnings(slice, old === undefined),
  Ingress: (ingress, old) => (old === undefined ? ingressWarnings(ingress) : []),
  NetworkPolicy: networkPolicyWarnings,
  Node: nodeWarnings,
  PersistentVolume: persistentVolumeWarnings,
  PersistentVolumeClaim: (claim) => [
    ...oldClassWarnings(claim),
    ...claimWarnings(objectAt(claim, 'spec') ?? {}, 'spec'),
  ],
  RuntimeClass: runtimeClassWarnings,
  Secret: tlsWarnings,
  Service: serviceWarnings,
  ServiceAccount: serviceAccountWarnings,
  StorageClass: storageClassWarnings,
};

/** What kinds that make Pods are warned of beside their template. */
const MAKERS: Readonly<Record<string, Warnings | undefined>> = {
  CronJob: (cronJob, old) => {
    const template = objectAt(objectAt(cronJob, 'spec'), 'jobTemplate') ?? {};
    const warnings = scheduleWarnings(cronJob, old);
    return isChanged(cronJob, old)
      ? [...warnings, ...jobWarnings(template, 'spec.jobTemplate.spec')]
      : warnings;
  },
  Job: (job, old) => (isChanged(job, old) ? jobWarnings(job, 'spec') : []),
  StatefulSet: statefulSetWarnings,
};

function serviceAccountWarnings(account: JsonObject): string[] {
  if (!Object.hasOwn(stringMapAt(objectAt(account, 'metadata'), 'annotations'), MOUNTABLE)) return [];
  return [
    `metadata.annotations[${MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`,
  ];
}

function nodeWarnings(node: JsonObject): string[] {
  const spec = objectAt(node, 'spec') ?? {};
  const warnings = nodeAddressWarnings(spec);
  if (spec['configSource'] !== undefined)
    warnings.push('spec.configSource: the feature is no longer supported');
  if (stringAt(spec, 'externalID') !== '') {
    warnings.push('spec.externalID: this field is deprecated, and is unused by Kubernetes');
  }
  return warnings;
}

function runtimeClassWarnings(runtimeClass: JsonObject): string[] {
  return Object.keys(stringMapAt(objectAt(runtimeClass, 'scheduling'), 'nodeSelector'))
    .toSorted()
    .flatMap((key) => {
      const why = oldLabel(key);
      return why === undefined ? [] : [`scheduling.nodeSelector: ${why}`];
    });
}

function storageClassWarnings(storageClass: JsonObject): string[] {
  return objectsAt(storageClass, 'allowedTopologies').flatMap((topology, index) =>
    objectsAt(topology, 'matchLabelExpressions').flatMap((expression, place) => {
      const why = oldLabel(stringAt(expression, 'key'));
      if (why === undefined) return [];
      return [`allowedTopologies[${index}].matchLabelExpressions[${place}].key: ${why}`];
    }),
  );
}

function statefulSetWarnings(set: JsonObject, old: JsonObject | undefined): string[] {
  const spec = objectAt(set, 'spec');
  const warnings: string[] = [];
  if (isChanged(set, old)) {
    objectsAt(spec, 'volumeClaimTemplates').forEach((claim, index) => {
      // Upstream names the field in two ways.
      const at = `spec.volumeClaimTemplates[${index}]${old === undefined ? '' : '.Spec'}`;
      warnings.push(...claimWarnings(objectAt(claim, 'spec') ?? {}, at));
    });
  }
  if ((numberAt(spec, 'revisionHistoryLimit') ?? 0) < 0) {
    const why = 'a negative value retains all historical revisions; a value >= 0 is recommended';
    warnings.push(`spec.revisionHistoryLimit: ${why}`);
  }
  return warnings;
}

/** Above both, what failed may not fit into the status of a Job. */
const [MANY_COMPLETIONS, MANY_AT_A_TIME] = [100_000, 10_000];

function jobWarnings(job: JsonObject, at: string): string[] {
  const spec = objectAt(job, 'spec');
  if (stringAt(spec, 'completionMode') !== 'Indexed') return [];
  if ((numberAt(spec, 'completions') ?? 0) <= MANY_COMPLETIONS) return [];
  if ((numberAt(spec, 'parallelism') ?? 0) <= MANY_AT_A_TIME) return [];
  const why =
    'In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might ' +
    'not be able to track completedIndexes when a big number of indexes fail';
  return [`${at}: ${why}`];
}

/** A new schedule with a time zone in it is refused; an older one is only told of. */
function scheduleWarnings(cronJob: JsonObject, old: JsonObject | undefined): string[] {
  if (old === undefined || !stringAt(objectAt(cronJob, 'spec'), 'schedule').includes('TZ')) return [];
  return [
    'cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see ' +
      'https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details',
  ];
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
