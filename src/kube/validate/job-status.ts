import { isDeepStrictEqual } from 'node:util';

import { duplicateValue, invalidValue, required, withoutValue, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { parseTime } from '../time.ts';
import { internalForm } from './internal-form.ts';
import { indexFault } from './job-policies.ts';

/** A Job's status with what it was before. Most rules only hold for what a change touches: what is old stays as it is. */
interface StatusChange {
  readonly spec: JsonObject | undefined;
  readonly status: JsonObject | undefined;
  readonly old: JsonObject | undefined;
}

/** Checks what a controller, perhaps somebody else's, says of a Job; counts are checked as those of other workloads. */
export function validateJobStatus(job: JsonObject, before: JsonObject): FieldError[] {
  const change = {
    spec: objectAt(job, 'spec'),
    status: objectAt(job, 'status'),
    old: objectAt(before, 'status'),
  };
  return [
    ...validateUncounted(objectAt(change.status, 'uncountedTerminatedPods')),
    ...validateEnd(change),
    ...validateIndexes(change),
    ...validateSuccess(change),
    ...validateCourse(change),
  ];
}

function is(status: JsonObject | undefined, type: string): boolean {
  return objectsAt(status, 'conditions').some(
    (condition) => condition['type'] === type && condition['status'] === 'True',
  );
}

const isFinished = (status: JsonObject | undefined): boolean =>
  is(status, 'Complete') || is(status, 'Failed');

function validateUncounted(uncounted: JsonObject | undefined): FieldError[] {
  const seen = new Set<string>();
  return (['succeeded', 'failed'] as const).flatMap((list) =>
    stringsAt(uncounted, list).flatMap((uid, index) => {
      const at = `status.uncountedTerminatedPods.${list}[${index}]`;
      if (uid === '') return [invalidValue(at, uid, 'must not be empty')];
      if (seen.has(uid)) return [duplicateValue(at, uid)];
      seen.add(uid);
      return [];
    }),
  );
}

/** Checks how a Job ends: in one way, at a time, and with nothing left to do. */
function validateEnd({ status, old }: StatusChange): FieldError[] {
  const errors: FieldError[] = [];
  const changed = (...types: string[]): boolean => types.some((type) => is(status, type) !== is(old, type));
  const differs = (...fields: string[]): boolean =>
    fields.some((field) => !isDeepStrictEqual(status?.[field], old?.[field]));
  const refuse = (why: string): void => {
    errors.push(withoutValue('status.conditions', `cannot set ${why}`));
  };
  const isComplete = is(status, 'Complete');
  if (isComplete && is(status, 'Failed') && changed('Complete', 'Failed')) {
    refuse('Complete=True and Failed=true conditions');
  }
  if (isComplete && is(status, 'FailureTarget') && changed('Complete', 'FailureTarget')) {
    refuse('Complete=True and FailureTarget=true conditions');
  }
  const end = stringAt(status, 'completionTime');
  const begin = stringAt(status, 'startTime');
  if (changed('Complete') || differs('completionTime')) {
    if (end !== '' && !isComplete) {
      const why = 'cannot set completionTime when there is no Complete=True condition';
      errors.push(invalidValue('status.completionTime', end, why));
    }
    if (end === '' && isComplete) {
      errors.push(required('status.completionTime', 'completionTime is required for Complete jobs'));
    }
  }
  if (differs('startTime', 'completionTime') && (parseTime(end) ?? Infinity) < (parseTime(begin) ?? 0)) {
    errors.push(invalidValue('status.completionTime', end, 'completionTime cannot be set before startTime'));
  }
  if (is(status, 'Failed') && !is(status, 'FailureTarget') && changed('Failed', 'FailureTarget')) {
    refuse('Failed=True condition without the FailureTarget=true condition');
  }
  if (isComplete && !is(status, 'SuccessCriteriaMet') && changed('Complete', 'SuccessCriteriaMet')) {
    refuse('Complete=True condition without the SuccessCriteriaMet=true condition');
  }
  if (!isFinished(status)) return errors;
  const now = isFinished(old) ? differs : (): boolean => true;
  const count = (field: string): void => {
    const value = numberAt(status, field) ?? 0;
    if (value <= 0 || !now(field)) return;
    errors.push(invalidValue(`status.${field}`, value, `${field}>0 is invalid for finished job`));
  };
  count('active');
  if (begin === '' && now('startTime')) {
    errors.push(required('status.startTime', 'startTime is required for finished job'));
  }
  const uncounted = objectAt(status, 'uncountedTerminatedPods');
  const waiting = [...stringsAt(uncounted, 'succeeded'), ...stringsAt(uncounted, 'failed')];
  if (uncounted !== undefined && waiting.length > 0 && now('uncountedTerminatedPods')) {
    const shown = internalForm(uncounted, 'batch.v1.UncountedTerminatedPods');
    const why = 'uncountedTerminatedPods needs to be empty for finished job';
    errors.push(invalidValue('status.uncountedTerminatedPods', shown, why));
  }
  count('terminating');
  return errors;
}

/** Checks which completions are done and which failed, and that no more Pods are ready than there are. */
function validateIndexes({ spec, status, old }: StatusChange): FieldError[] {
  const errors: FieldError[] = [];
  const done = stringAt(status, 'completedIndexes');
  const failed = status?.['failedIndexes'];
  const completions = numberAt(spec, 'completions');
  const isDoneNew = done !== stringAt(old, 'completedIndexes');
  const isFailedNew = failed !== old?.['failedIndexes'];
  const parse = (field: string, text: unknown): void => {
    const fault =
      completions === undefined || typeof text !== 'string' || text === ''
        ? undefined
        : indexFault(text, completions);
    if (fault === undefined) return;
    errors.push(invalidValue(`status.${field}`, text, `error parsing ${field}: ${fault}`));
  };
  const byIndex = numberAt(spec, 'backoffLimitPerIndex') !== undefined;
  if (isDoneNew) parse('completedIndexes', done);
  if (isFailedNew && byIndex) parse('failedIndexes', failed);
  if (isDoneNew && done !== '' && spec?.['completionMode'] !== 'Indexed') {
    const why = 'cannot set non-empty completedIndexes when non-indexed completion mode';
    errors.push(invalidValue('status.completedIndexes', done, why));
  }
  if (isFailedNew && typeof failed === 'string' && !byIndex) {
    const why = 'cannot set non-null failedIndexes when backoffLimitPerIndex is null';
    errors.push(invalidValue('status.failedIndexes', failed, why));
  }
  if ((isDoneNew || isFailedNew) && typeof failed === 'string' && completions !== undefined) {
    const both = firstCommon(intervalsOf(done), intervalsOf(failed));
    if (both !== undefined) {
      const why = `failedIndexes and completedIndexes overlap at index: ${both}`;
      errors.push(invalidValue('status.failedIndexes', failed, why));
    }
  }
  const ready = numberAt(status, 'ready') ?? 0;
  const isCountNew = ready !== (numberAt(old, 'ready') ?? 0) || status?.['active'] !== old?.['active'];
  if (isCountNew && ready > (numberAt(status, 'active') ?? 0)) {
    errors.push(invalidValue('status.ready', ready, 'cannot set more ready pods than active'));
  }
  return errors;
}

type Interval = readonly [from: number, to: number];

function intervalsOf(indexes: string): Interval[] {
  return indexes.split(',').flatMap((part) => {
    const [from = NaN, to = from] = part.split('-').map(Number);
    return part === '' || Number.isNaN(from) ? [] : [[from, to] as const];
  });
}

/** Finds the first number that two rising lists of intervals share. */
function firstCommon(a: readonly Interval[], b: readonly Interval[]): number | undefined {
  let i = 0;
  let j = 0;
  for (;;) {
    const [left, right] = [a[i], b[j]];
    if (left === undefined || right === undefined) return undefined;
    if (left[1] < right[0]) i++;
    else if (right[1] < left[0]) j++;
    else return Math.max(left[0], right[0]);
  }
}

function validateSuccess({ spec, status }: StatusChange): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (why: string): void => {
    errors.push(withoutValue('status.conditions', `cannot set ${why}`));
  };
  const isMet = is(status, 'SuccessCriteriaMet');
  if (isMet && is(status, 'Failed')) refuse('SuccessCriteriaMet=True and Failed=true conditions');
  if (isMet && is(status, 'FailureTarget')) {
    refuse('SuccessCriteriaMet=True and FailureTarget=true conditions');
  }
  if (objectAt(spec, 'successPolicy') !== undefined && !isMet && is(status, 'Complete')) {
    refuse('Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True');
  }
  return errors;
}

/** Checks that what was said of a Job for good is not taken back. */
function validateCourse({ spec, status, old }: StatusChange): FieldError[] {
  const errors: FieldError[] = [];
  for (const type of ['Failed', 'Complete', 'FailureTarget']) {
    if (!is(old, type) || is(status, type)) continue;
    errors.push(withoutValue('status.conditions', `cannot disable the terminal ${type}=True condition`));
  }
  // Indexed Jobs with as many workers as completions can be made smaller.
  const canShrink =
    spec?.['completionMode'] === 'Indexed' && numberAt(spec, 'completions') === numberAt(spec, 'parallelism');
  for (const field of canShrink ? ['failed'] : ['failed', 'succeeded']) {
    const value = numberAt(status, field) ?? 0;
    if (value >= (numberAt(old, field) ?? 0)) continue;
    errors.push(invalidValue(`status.${field}`, value, `cannot decrease the ${field} counter`));
  }
  const end = stringAt(status, 'completionTime');
  const before = stringAt(old, 'completionTime');
  if (end !== '' && before !== '' && end !== before) {
    errors.push(invalidValue('status.completionTime', end, 'completionTime cannot be mutated'));
  }
  const isStartGone = stringAt(old, 'startTime') !== '' && stringAt(status, 'startTime') === '';
  if (isStartGone && spec?.['suspend'] !== true) {
    errors.push(required('status.startTime', 'startTime cannot be removed for unsuspended job'));
  }
  const wasMet = is(old, 'SuccessCriteriaMet');
  if (wasMet && !is(status, 'SuccessCriteriaMet')) {
    errors.push(withoutValue('status.conditions', 'cannot disable the SuccessCriteriaMet=True condition'));
  }
  if (is(old, 'Complete') && !wasMet && is(status, 'SuccessCriteriaMet')) {
    const why = 'cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions';
    errors.push(withoutValue('status.conditions', why));
  }
  return errors;
}
