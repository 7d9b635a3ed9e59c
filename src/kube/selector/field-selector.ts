import type { JsonObject } from '../json/json-object.ts';
import type { KubeObject } from '../object.ts';
import type { ResourceInfo } from '../resources.ts';
import { SelectorError } from './selector-error.ts';

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

export interface FieldSelector {
  readonly requirements: readonly FieldRequirement[];
  matches(object: KubeObject): boolean;
  /** Returns the value that `field` must equal, if the selector says one: lets `metadata.name=x` become a look-up. */
  exact(field: string): string | undefined;
}

const META = ['metadata.name', 'metadata.namespace'];

const EVENT_SUBJECT = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'];

/** Fields beyond name and namespace by which a kind can be selected. */
const FIELDS: ReadonlyMap<string, readonly string[]> = new Map([
  [
    'v1/Pod',
    [
      'spec.nodeName',
      'spec.restartPolicy',
      'spec.schedulerName',
      'spec.serviceAccountName',
      'spec.hostNetwork',
      'status.phase',
      'status.podIP',
      // A name that is taken and selects by nothing.
      'status.podIPs',
      'status.nominatedNodeName',
    ],
  ],
  ['v1/Node', ['spec.unschedulable']],
  ['v1/Namespace', ['status.phase']],
  ['v1/Secret', ['type']],
  ['v1/Service', ['spec.clusterIP', 'spec.type']],
  ['v1/ReplicationController', ['status.replicas']],
  ['apps/v1/ReplicaSet', ['status.replicas']],
  ['batch/v1/Job', ['status.successful']],
  ['certificates.k8s.io/v1/CertificateSigningRequest', ['spec.signerName']],
  [
    'v1/Event',
    [
      ...EVENT_SUBJECT.map((part) => `involvedObject.${part}`),
      'reason',
      'reportingComponent',
      'source',
      'type',
    ],
  ],
  [
    'events.k8s.io/v1/Event',
    [...EVENT_SUBJECT.map((part) => `regarding.${part}`), 'reason', 'reportingController', 'type'],
  ],
]);

/**
 * Reads `a=b,c!=d` for a resource; a backslash takes the meaning from `,`, `=` and itself.
 *
 * @throws SelectorError with the API's text (answer 400), also for fields the resource does not select by
 */
export function parseFieldSelector(text: string, resource: ResourceInfo): FieldSelector {
  // Clients older than `spec.nodeName` are still understood.
  const isPod = resource.kind === 'Pod' && resource.group === '';
  const requirements = splitTerms(text)
    .filter((term) => term !== '')
    .toSorted()
    .map((term) => parseTerm(term, text))
    .map((term) => (isPod && term.field === 'spec.host' ? { ...term, field: 'spec.nodeName' } : term));
  for (const { field } of requirements) checkSupported(field, resource);
  return {
    requirements,
    matches: (object) =>
      requirements.every(
        ({ field, operator, value }) => (fieldValue(object, field) === value) === (operator === '='),
      ),
    exact: (field) =>
      requirements.find((requirement) => requirement.field === field && requirement.operator === '=')?.value,
  };
}

/** Returns the value that field selectors compare: absent numbers count as `0`, absent booleans as `false`. */
export function fieldValue(object: KubeObject, field: string): string {
  const json = object as unknown as JsonObject;
  if (field === 'source') {
    return textOf(at(json, 'source.component')) || textOf(json['reportingComponent']);
  }
  if (field === 'status.successful') return textOf(at(json, 'status.succeeded')) || '0';
  if (field === 'status.replicas') return textOf(at(json, field)) || '0';
  if (field === 'spec.unschedulable' || field === 'spec.hostNetwork')
    return textOf(at(json, field)) || 'false';
  if (field.startsWith('regarding.') && json['regarding'] === undefined) {
    return textOf(at(json, field.replace('regarding.', 'involvedObject.')));
  }
  return textOf(at(json, field));
}

function at(object: JsonObject, path: string): unknown {
  let value: unknown = object;
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as JsonObject)[part];
  }
  return value;
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : '';
}

function checkSupported(field: string, resource: ResourceInfo): void {
  const special = resource.custom?.selectableFields ?? FIELDS.get(`${resource.apiVersion}/${resource.kind}`);
  if (special?.includes(field) === true || META.includes(field)) return;
  if (special === undefined) {
    throw new SelectorError(
      'UNSUPPORTED_FIELD',
      `${JSON.stringify(field)} is not a known field selector: only ${META.map((name) => `"${name}"`).join(', ')}`,
    );
  }
  throw new SelectorError('UNSUPPORTED_FIELD', `field label not supported: ${field}`);
}

function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '\\') index += 1;
    else if (text[index] === ',') {
      terms.push(text.slice(start, index));
      start = index + 1;
    }
  }
  return [...terms, text.slice(start)];
}

function parseTerm(term: string, whole: string): FieldRequirement {
  for (let index = 0; index < term.length; index += 1) {
    if (term[index] === '\\') {
      index += 1;
      continue;
    }
    for (const operator of ['!=', '==', '='] as const) {
      if (!term.startsWith(operator, index)) continue;
      return {
        field: term.slice(0, index),
        operator: operator === '!=' ? '!=' : '=',
        value: unescape(term.slice(index + operator.length)),
      };
    }
  }
  throw new SelectorError('BAD_SELECTOR', `invalid selector: '${whole}'; can't understand '${term}'`);
}

function unescape(value: string): string {
  if (!/[\\,=]/.test(value)) return value;
  let plain = '';
  for (let index = 0; index < value.length; index += 1) {
    const char = value[index] ?? '';
    if (char === '\\') {
      const next = value[index + 1];
      if (next === undefined || !'\\,='.includes(next)) {
        throw new SelectorError(
          'BAD_SELECTOR',
          `invalid field selector: invalid escape sequence: ${char}${next ?? ''}`,
        );
      }
      plain += next;
      index += 1;
    } else if (char === ',' || char === '=') {
      throw new SelectorError(
        'BAD_SELECTOR',
        `invalid field selector: unescaped character in value: ${char.codePointAt(0)}`,
      );
    } else plain += char;
  }
  return plain;
}
