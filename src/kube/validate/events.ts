import { isDeepStrictEqual } from 'node:util';

import { invalidValue, required, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { internalForm } from './internal-form.ts';
import { labelNameFaults, qualifiedNameFaults } from './name-rules.ts';

/* The API's bounds on the parts of an event that has a time of its own. */
const MAX_PART = 128;
const MAX_NOTE = 1024;

/** Names of both groups for what an Event tells of. Error texts use those of the core group. */
interface EventNames {
  readonly involvedObject: string;
  readonly message: string;
  readonly reporter: string;
  /** The reporter in error texts. */
  readonly reporterField: string;
}

const CORE: EventNames = {
  involvedObject: 'involvedObject',
  message: 'message',
  reporter: 'reportingComponent',
  reporterField: 'reportingComponent',
};
const NEWER: EventNames = {
  involvedObject: 'regarding',
  message: 'note',
  reporter: 'reportingController',
  reporterField: 'reportingController',
};

/** Checks an Event of the core group, less its metadata. */
export function validateEvent(event: JsonObject): FieldError[] {
  return validateParts(event, CORE);
}

/** Checks a new Event of events.k8s.io, less its metadata. */
export function validateNewerEvent(event: JsonObject): FieldError[] {
  const errors = [...validateParts(event, NEWER), ...validateSeries(event)];
  if (!hasTime(event)) errors.push(required('eventTime'));
  const type = stringAt(event, 'type');
  if (type !== 'Normal' && type !== 'Warning') {
    errors.push(invalidValue('type', '', `has invalid value: ${type}`));
  }
  for (const [name, field] of [
    ['deprecatedFirstTimestamp', 'firstTimestamp'],
    ['deprecatedLastTimestamp', 'lastTimestamp'],
    ['deprecatedCount', 'count'],
  ] as const) {
    if (isSet(event[name])) errors.push(invalidValue(field, '', 'needs to be unset'));
  }
  const source = objectAt(event, 'deprecatedSource');
  if (stringAt(source, 'component') !== '' || stringAt(source, 'host') !== '') {
    errors.push(invalidValue('source', '', 'needs to be unset'));
  }
  return errors;
}

/** Checks a changed Event of events.k8s.io: only its series goes on. */
export function validateNewerEventUpdate(event: JsonObject, old: JsonObject): FieldError[] {
  const errors = validateParts(event, NEWER);
  if (!isDeepStrictEqual(event['series'], old['series'])) errors.push(...validateSeries(event));
  for (const [name, field, struct] of [
    ['regarding', 'involvedObject', 'core.v1.ObjectReference'],
    ['reason', 'reason'],
    ['note', 'message'],
    ['deprecatedSource', 'source', 'core.v1.EventSource'],
    ['deprecatedFirstTimestamp', 'firstTimestamp'],
    ['deprecatedLastTimestamp', 'lastTimestamp'],
    ['deprecatedCount', 'count'],
    ['reason', 'reason'],
    ['type', 'type'],
    ['eventTime', 'eventTime'],
    ['action', 'action'],
    ['related', 'related', 'core.v1.ObjectReference'],
    ['reportingController', 'reportingController'],
    ['reportingInstance', 'reportingInstance'],
  ] as const) {
    if (isDeepStrictEqual(event[name] ?? null, old[name] ?? null)) continue;
    const value = objectAt(event, name);
    const shown = value === undefined || struct === undefined ? event[name] : internalForm(value, struct);
    errors.push(invalidValue(field, shown, 'field is immutable'));
  }
  return errors;
}

function validateParts(event: JsonObject, names: EventNames): FieldError[] {
  const own = stringAt(objectAt(event, 'metadata'), 'namespace');
  const involved = stringAt(objectAt(event, names.involvedObject), 'namespace');
  const mismatch = invalidValue('involvedObject.namespace', involved, 'does not match event.namespace');
  const namespace = labelNameFaults(own).map((fault) => invalidValue('namespace', own, fault));
  if (!hasTime(event)) {
    const fits = involved === '' ? own === 'default' : involved === own;
    return fits ? namespace : [mismatch, ...namespace];
  }
  const errors = involved === '' && own !== 'default' && own !== 'kube-system' ? [mismatch] : [];
  const reporter = stringAt(event, names.reporter);
  if (reporter === '') errors.push(required(names.reporterField));
  for (const fault of qualifiedNameFaults(reporter)) {
    errors.push(invalidValue(names.reporterField, reporter, fault));
  }
  for (const key of ['reportingInstance', 'action', 'reason']) {
    const value = stringAt(event, key);
    if (value === '') errors.push(required(key));
    errors.push(...validateLength(value, key, MAX_PART));
  }
  return [...errors, ...validateLength(stringAt(event, names.message), 'message', MAX_NOTE), ...namespace];
}

function validateLength(value: string, field: string, max: number): FieldError[] {
  if (Buffer.byteLength(value) <= max) return [];
  return [invalidValue(field, '', `can have at most ${max} characters`)];
}

function validateSeries(event: JsonObject): FieldError[] {
  const series = objectAt(event, 'series');
  if (series === undefined) return [];
  const errors: FieldError[] = [];
  if ((numberAt(series, 'count') ?? 0) < 2) {
    errors.push(invalidValue('series.count', '', 'should be at least 2'));
  }
  if (!isSet(series['lastObservedTime'])) errors.push(required('series.lastObservedTime'));
  return errors;
}

function hasTime(event: JsonObject): boolean {
  return isSet(event['eventTime']);
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== 0;
}
