import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { ageOf, containerCells, labelsCell, nameOf, selectorCell, type Cell } from './_cells.ts';
import { AGE, count, NAME, spec, status, statusCount, text, type Printer } from './_columns.ts';

export const limitRange: Printer = {
  columns: [NAME, { ...text('Created At', 'When the object was created.') }],
  row: (object) => [nameOf(object), stringAt(objectAt(object, 'metadata'), 'creationTimestamp')],
};

export const resourceQuota: Printer = {
  columns: [
    NAME,
    text('Request', 'What is used and allowed of amounts and counts.'),
    text('Limit', 'What is used and allowed of limits.'),
    AGE,
  ],
  row: (object, now) => {
    const hard = objectAt(status(object), 'hard') ?? {};
    const used = objectAt(status(object), 'used') ?? {};
    const print = (isLimit: boolean): string =>
      Object.keys(hard)
        .filter((name) => name.includes('limits') === isLimit)
        .toSorted()
        .map((name) => `${name}: ${stringAt(used, name) || '0'}/${stringAt(hard, name)}`)
        .join(', ');
    return [nameOf(object), print(false), print(true), ageOf(object, now)];
  },
};

export const disruptionBudget: Printer = {
  columns: [
    NAME,
    text('Min Available', 'How many Pods must stay.'),
    text('Max Unavailable', 'How many Pods may be missing.'),
    count('Allowed Disruptions', 'How many Pods may be evicted now.'),
    AGE,
  ],
  row: (object, now) => [
    nameOf(object),
    share(spec(object)['minAvailable']),
    share(spec(object)['maxUnavailable']),
    statusCount(object, 'disruptionsAllowed'),
    ageOf(object, now),
  ],
};

function share(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : 'N/A';
}

export const priorityClass: Printer = {
  columns: [
    NAME,
    count('Value', 'The number that Pods of the class get.'),
    { ...text('Global-Default', 'Whether Pods without a class get this one.'), type: 'boolean' },
    AGE,
    text('PreemptionPolicy', 'Whether Pods of the class push others off.'),
  ],
  row: (object, now) => [
    nameOf(object),
    numberAt(object, 'value') ?? 0,
    object['globalDefault'] === true,
    ageOf(object, now),
    stringAt(object, 'preemptionPolicy') || 'PreemptLowerPriority',
  ],
};

export const runtimeClass: Printer = {
  columns: [NAME, text('Handler', 'How the runtime calls the class.'), AGE],
  row: (object, now) => [nameOf(object), stringAt(object, 'handler'), ageOf(object, now)],
};

const IS_DEFAULT = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

export const storageClass: Printer = {
  columns: [
    NAME,
    text('Provisioner', 'Who makes the volumes.'),
    text('ReclaimPolicy', 'What happens to a volume when its claim goes.'),
    text('VolumeBindingMode', 'When a volume is made.'),
    { ...text('AllowVolumeExpansion', 'Whether claims may ask for more later.'), type: 'boolean' },
    AGE,
  ],
  row: (object, now) => {
    const annotations = objectAt(objectAt(object, 'metadata'), 'annotations');
    const isDefault = IS_DEFAULT.some((key) => annotations?.[key] === 'true');
    return [
      isDefault ? `${nameOf(object)} (default)` : nameOf(object),
      stringAt(object, 'provisioner'),
      stringAt(object, 'reclaimPolicy') || 'Delete',
      stringAt(object, 'volumeBindingMode') || '<unset>',
      object['allowVolumeExpansion'] === true,
      ageOf(object, now),
    ];
  },
};

export const webhookConfiguration: Printer = {
  columns: [NAME, count('Webhooks', 'How many webhooks are called.'), AGE],
  row: (object, now) => [nameOf(object), objectsAt(object, 'webhooks').length, ageOf(object, now)],
};

/** Makes the printer of an admission policy, which counts `what`. */
function policy(title: string, what: string): Printer {
  return {
    columns: [NAME, count(title, 'How many there are.'), text('ParamKind', 'Kind of the parameters.'), AGE],
    row: (object, now): Cell[] => {
      const kind = objectAt(spec(object), 'paramKind');
      const shown =
        kind === undefined ? '<unset>' : `${stringAt(kind, 'apiVersion')}/${stringAt(kind, 'kind')}`;
      return [nameOf(object), objectsAt(spec(object), what).length, shown, ageOf(object, now)];
    },
  };
}

export const validatingPolicy = policy('Validations', 'validations');
export const mutatingPolicy = policy('Mutations', 'mutations');

export const policyBinding: Printer = {
  columns: [NAME, text('PolicyName', 'The policy.'), text('ParamRef', 'The parameters.'), AGE],
  row: (object, now) => [
    nameOf(object),
    stringAt(spec(object), 'policyName'),
    paramRef(objectAt(spec(object), 'paramRef')),
    ageOf(object, now),
  ],
};

function paramRef(ref: JsonObject | undefined): string {
  if (ref === undefined) return '<unset>';
  const name = stringAt(ref, 'name');
  const namespace = stringAt(ref, 'namespace');
  if (name === '') return selectorCell(objectAt(ref, 'selector'));
  return namespace === '' ? `*/${name}` : `${namespace}/${name}`;
}

export const podTemplate: Printer = {
  columns: [
    NAME,
    text('Containers', 'Names of the containers.'),
    text('Images', 'Images of the containers.'),
    text('Pod Labels', 'Labels of the Pods.'),
  ],
  row: (object) => {
    const template = objectAt(object, 'template');
    const labels = objectAt(objectAt(template, 'metadata'), 'labels');
    return [nameOf(object), ...containerCells(objectAt(template, 'spec')), labelsCell(labels)];
  },
};
