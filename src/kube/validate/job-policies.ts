import { goQuote } from '../../base/go-quote.ts';
import {
  duplicateValue,
  invalidValue,
  notSupported,
  required,
  tooLong,
  tooMany,
  withoutValue,
  type FieldError,
} from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { validateNonNegative } from './metadata.ts';
import { qualifiedNameFaults } from './name-rules.ts';

/* The bounds of the API on both kinds of policy. */
const MAX_RULES = 20;
const MAX_EXIT_CODES = 255;
const MAX_CONDITIONS = 20;
const MAX_INDEXES_TEXT = 64 * 1024;

const ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const CODE_OPERATORS = ['In', 'NotIn'];
const CONDITION_STATUSES = ['False', 'True', 'Unknown'];

/** Checks what a Job does about Pods that fail. */
export function validateFailurePolicy(spec: JsonObject, path: string): FieldError[] {
  const rules = objectsAt(objectAt(spec, 'podFailurePolicy'), 'rules');
  const errors = rules.length > MAX_RULES ? [tooMany(`${path}.rules`, rules.length, MAX_RULES)] : [];
  const podSpec = objectAt(objectAt(spec, 'template'), 'spec');
  const containers = new Set(
    [...objectsAt(podSpec, 'containers'), ...objectsAt(podSpec, 'initContainers')].map(({ name }) => name),
  );
  rules.forEach((rule, index) => {
    const at = `${path}.rules[${index}]`;
    const action = stringAt(rule, 'action');
    if (action === 'FailIndex' && spec['backoffLimitPerIndex'] === undefined) {
      errors.push(invalidValue(`${at}.action`, action, 'requires the backoffLimitPerIndex to be set'));
    } else errors.push(...validateOneOf(action, `${at}.action`, ACTIONS));
    const codes = objectAt(rule, 'onExitCodes');
    const conditions = objectsAt(rule, 'onPodConditions');
    if (codes !== undefined) errors.push(...validateExitCodes(codes, `${at}.onExitCodes`, containers));
    errors.push(...validateConditions(conditions, `${at}.onPodConditions`));
    if (codes !== undefined && conditions.length > 0) {
      errors.push(withoutValue(at, 'specifying both OnExitCodes and OnPodConditions is not supported'));
    }
    if (codes === undefined && conditions.length === 0) {
      errors.push(withoutValue(at, 'specifying one of OnExitCodes and OnPodConditions is required'));
    }
  });
  return errors;
}

function validateOneOf(value: string, path: string, supported: readonly string[]): FieldError[] {
  if (value === '') return [required(path, `valid values: [${supported.map(goQuote).join(' ')}]`)];
  return supported.includes(value) ? [] : [notSupported(path, value, supported)];
}

function validateConditions(conditions: readonly JsonObject[], path: string): FieldError[] {
  const errors = conditions.length > MAX_CONDITIONS ? [tooMany(path, conditions.length, MAX_CONDITIONS)] : [];
  conditions.forEach((condition, index) => {
    const at = `${path}[${index}]`;
    const type = stringAt(condition, 'type');
    for (const fault of qualifiedNameFaults(type)) errors.push(invalidValue(`${at}.type`, type, fault));
    errors.push(...validateOneOf(stringAt(condition, 'status'), `${at}.status`, CONDITION_STATUSES));
  });
  return errors;
}

function validateExitCodes(codes: JsonObject, path: string, containers: ReadonlySet<unknown>): FieldError[] {
  const operator = stringAt(codes, 'operator');
  const errors = validateOneOf(operator, `${path}.operator`, CODE_OPERATORS);
  const container = codes['containerName'];
  if (container !== undefined && !containers.has(container)) {
    const why = 'must be one of the container or initContainer names in the pod template';
    errors.push(invalidValue(`${path}.containerName`, container, why));
  }
  const values = Array.isArray(codes['values']) ? (codes['values'] as number[]) : [];
  if (values.length === 0) {
    errors.push(invalidValue(`${path}.values`, codes['values'], 'at least one value is required'));
  } else if (values.length > MAX_EXIT_CODES) {
    errors.push(tooMany(`${path}.values`, values.length, MAX_EXIT_CODES));
  }
  const seen = new Set<number>();
  let isOrdered = true;
  values.forEach((value, index) => {
    const at = `${path}.values[${index}]`;
    if (operator === 'In' && value === 0) {
      errors.push(invalidValue(at, value, 'must not be 0 for the In operator'));
    }
    if (seen.has(value)) errors.push(duplicateValue(at, value));
    seen.add(value);
    if (index > 0 && (values[index - 1] ?? 0) > value) isOrdered = false;
  });
  if (!isOrdered) errors.push(invalidValue(`${path}.values`, values, 'must be ordered'));
  return errors;
}

/** Checks when an indexed Job has succeeded before all of its indexes did. */
export function validateSuccessPolicy(spec: JsonObject, path: string): FieldError[] {
  const rules = objectsAt(objectAt(spec, 'successPolicy'), 'rules');
  const errors: FieldError[] = [];
  if (rules.length === 0) {
    const why = 'at least one rules must be specified when the successPolicy is specified';
    errors.push(required(`${path}.rules`, why));
  }
  if (rules.length > MAX_RULES) errors.push(tooMany(`${path}.rules`, rules.length, MAX_RULES));
  const completions = numberAt(spec, 'completions') ?? 0;
  rules.forEach((rule, index) => {
    errors.push(...validateSuccessRule(rule, completions, `${path}.rules[${index}]`));
  });
  return errors;
}

function validateSuccessRule(rule: JsonObject, completions: number, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const indexes = rule['succeededIndexes'];
  const count = numberAt(rule, 'succeededCount');
  if (count === undefined && indexes === undefined) {
    const why = 'at least one of succeededCount or succeededIndexes must be specified';
    errors.push(required(path, why));
  }
  let total = 0;
  if (typeof indexes === 'string') {
    const at = `${path}.succeededIndexes`;
    if (indexes.length > MAX_INDEXES_TEXT) errors.push(tooLong(at, MAX_INDEXES_TEXT));
    const counted = countIndexes(indexes, completions);
    if (typeof counted === 'number') total = counted;
    else errors.push(invalidValue(at, indexes, `error parsing succeededIndexes: ${counted}`));
  }
  if (count === undefined) return errors;
  const at = `${path}.succeededCount`;
  errors.push(...validateNonNegative(rule, 'succeededCount', path));
  const most = (bound: number, what: string): FieldError =>
    invalidValue(at, count, `must be less than or equal to ${bound} (the number of ${what})`);
  if (count > completions) errors.push(most(completions, 'specified completions'));
  if (indexes !== undefined && count > total) {
    errors.push(most(total, 'indexes in the specified succeededIndexes field'));
  }
  return errors;
}

/** Says what is wrong with a list of indexes such as `1,3-5`; absent when nothing is. */
export function indexFault(text: string, completions: number): string | undefined {
  const count = countIndexes(text, completions);
  return typeof count === 'string' ? count : undefined;
}

/** Counts the indexes that `1,3-5` names, or says what is wrong with it. */
function countIndexes(text: string, completions: number): number | string {
  if (text === '') return 0;
  let last = -1;
  let total = 0;
  for (const interval of text.split(',')) {
    const limits = interval.split('-');
    if (limits.length > 2) {
      return `the fragment ${goQuote(interval)} violates the requirement that an index interval can have at most two parts separated by '-'`;
    }
    const numbers: number[] = [];
    for (const limit of limits) {
      if (!/^[+-]?\d+$/.test(limit)) return `cannot convert string to integer for index: ${goQuote(limit)}`;
      if (Number(limit) >= completions) return `too large index: ${goQuote(limit)}`;
      numbers.push(Number(limit));
    }
    const [from = 0, to = from] = numbers;
    if (numbers.length === 2 && from >= to) {
      return `non-increasing order, previous: ${from}, current: ${to}`;
    }
    if (last >= from) return `non-increasing order, previous: ${last}, current: ${from}`;
    total += to - from + 1;
    last = to;
  }
  return total;
}
