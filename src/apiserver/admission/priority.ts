import type { KubeObject } from '../../kube/object.ts';
import type { Pod } from '../../kube/pod.ts';
import { forbidden } from '../../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission-chain.ts';
import type { ObjectStore } from '../object-store.ts';
import { podOf } from '../pod-defaults-admission.ts';
import { StoredObjects } from './webhook-configuration.ts';

const CLASSES = 'priorityclasses.scheduling.k8s.io';

interface PriorityClass extends KubeObject {
  readonly value?: number;
  readonly globalDefault?: boolean;
  readonly preemptionPolicy?: string;
}

/** Resolves the priority class of a Pod into numbers, and keeps the default class the only one. */
export function priority(store: ObjectStore): AdmissionPlugin & { close(): void } {
  const classes = new StoredObjects<readonly PriorityClass[]>(store, [CLASSES], (objects) => objects);
  return {
    name: 'Priority',
    close: () => classes.close(),
    admit: (request) => {
      const pod = podOf(request);
      if (pod === undefined) return;
      if (request.operation === 'UPDATE') keep(pod, request.oldObject as Pod);
      else resolve(request, pod, classes.value);
    },
    validate: (request) => {
      const { resource, operation, object } = request;
      const isClass = resource.group === 'scheduling.k8s.io' && resource.resource === 'priorityclasses';
      if (!isClass || (operation !== 'CREATE' && operation !== 'UPDATE')) return;
      const written: PriorityClass | undefined = object;
      if (written?.globalDefault !== true) return;
      const other = classes.value.find(
        ({ globalDefault, metadata }) => globalDefault === true && metadata.name !== object?.metadata.name,
      );
      if (other === undefined) return;
      const why = `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`;
      throw forbidden(resource, request.name, why);
    },
  };
}

/** A Pod keeps what it got when it was made. */
function keep(pod: Pod, old: Pod): void {
  if (pod.spec.priority === undefined && old.spec.priority !== undefined)
    pod.spec.priority = old.spec.priority;
  if (pod.spec.preemptionPolicy === undefined && old.spec.preemptionPolicy !== undefined) {
    pod.spec.preemptionPolicy = old.spec.preemptionPolicy;
  }
}

function resolve(request: AdmissionRequest, pod: Pod, classes: readonly PriorityClass[]): void {
  const refuse = (why: string): Error => forbidden(request.resource, request.name, why);
  const named = pod.spec.priorityClassName ?? '';
  const found = named === '' ? defaultOf(classes) : classes.find(({ metadata }) => metadata.name === named);
  if (named !== '' && found === undefined) throw refuse(`no PriorityClass with name ${named} was found`);
  if (named === '' && found !== undefined) pod.spec.priorityClassName = found.metadata.name;
  const value = found?.value ?? 0;
  if (pod.spec.priority !== undefined && pod.spec.priority !== value) {
    throw refuse(
      `the integer value of priority (${pod.spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  }
  pod.spec.priority = value;
  const policy = found?.preemptionPolicy ?? 'PreemptLowerPriority';
  const given = pod.spec.preemptionPolicy;
  if (given !== undefined && given !== policy) {
    throw refuse(
      `the string value of PreemptionPolicy (${given}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
    );
  }
  pod.spec.preemptionPolicy = policy;
}

/** Of several defaults, left over from races, the lowest counts. */
function defaultOf(classes: readonly PriorityClass[]): PriorityClass | undefined {
  return classes
    .filter(({ globalDefault }) => globalDefault === true)
    .toSorted((a, b) => (a.value ?? 0) - (b.value ?? 0))[0];
}
