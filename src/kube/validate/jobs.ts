import { isDeepStrictEqual } from 'node:util';

import { goJson } from '../../base/go-json.ts';
import { invalidValue, notSupported, required, tooMany, type FieldError } from '../field-error.ts';
import {
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  type JsonObject,
} from '../json/json-object.ts';
import { labelSelectorOf } from '../selector/label-selector.ts';
import { cronFault } from './cron.ts';
import { internalForm, internalPodTemplate } from './internal-form.ts';
import { validateImmutable, validateLabelSelector, validateNonNegative } from './metadata.ts';
import { validatePodTemplate } from './workloads.ts';

/** A CronJob's Jobs get eleven characters more, and a Job's name is a label value. */
const MAX_CRON_JOB_NAME = 52;

/** Checks a Job, less its metadata. */
export function validateJob(job: JsonObject): FieldError[] {
  const spec = objectAt(job, 'spec') ?? {};
  const selector = objectAt(spec, 'selector');
  const errors = validateJobSpec(spec, 'spec');
  if (selector === undefined) return [...errors, required('spec.selector')];
  errors.push(...validateLabelSelector(selector, 'spec.selector'));
  const labels = stringMapAt(objectAt(objectAt(spec, 'template'), 'metadata'), 'labels');
  if (errors.length === 0 && !labelSelectorOf(selector).matches(labels)) {
    errors.push(
      invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'),
    );
  }
  return errors;
}

/** Checks a changed Job: what decides how many Pods of which kind run stays. */
export function validateJobUpdate(job: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(job, 'spec') ?? {};
  const before = objectAt(old, 'spec') ?? {};
  const errors = validateJobSpec(spec, 'spec');
  const indexed = stringAt(before, 'completionMode') === 'Indexed';
  if (!(indexed && isDeepStrictEqual(spec['completions'], spec['parallelism']))) {
    errors.push(...validateImmutable(spec['completions'], before['completions'], 'spec.completions'));
  }
  errors.push(...validateImmutable(spec['selector'], before['selector'], 'spec.selector'));
  errors.push(...validateTemplateKept(spec, before));
  for (const key of [
    'completionMode',
    'podFailurePolicy',
    'backoffLimitPerIndex',
    'managedBy',
    'successPolicy',
  ]) {
    errors.push(...validateImmutable(spec[key], before[key], `spec.${key}`));
  }
  return errors;
}

/** A suspended Job that never ran may still be told where to run. */
function validateTemplateKept(spec: JsonObject, before: JsonObject): FieldError[] {
  const now = objectAt(spec, 'template') ?? {};
  const old = objectAt(before, 'template') ?? {};
  const compared = before['suspend'] === true ? placedAs(now, old) : now;
  if (isDeepStrictEqual(compared, old)) return [];
  const shown = goJson(internalPodTemplate(compared));
  return [
    {
      type: 'FieldValueInvalid',
      field: 'spec.template',
      message: `Invalid value: ${shown}: field is immutable`,
    },
  ];
}

/** Takes over from `old` what says where the Pods run. */
function placedAs(template: JsonObject, old: JsonObject): JsonObject {
  const place = ['nodeSelector', 'affinity', 'tolerations', 'schedulingGates'];
  const entries = (spec: JsonObject | undefined, placing: boolean): [string, unknown][] =>
    Object.entries(spec ?? {}).filter(([key]) => place.includes(key) === placing);
  return {
    ...template,
    spec: Object.fromEntries([
      ...entries(objectAt(template, 'spec'), false),
      ...entries(objectAt(old, 'spec'), true),
    ]),
  };
}

/** Checks a CronJob, less its metadata. */
export function validateCronJob(cronJob: JsonObject): FieldError[] {
  const spec = objectAt(cronJob, 'spec') ?? {};
  const errors: FieldError[] = [];
  const schedule = stringAt(spec, 'schedule');
  if (schedule === '') errors.push(required('spec.schedule'));
  else {
    if (schedule.includes('TZ=')) {
      const why = 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead';
      errors.push(invalidValue('spec.schedule', schedule, why));
    }
    const fault = cronFault(schedule);
    if (fault !== undefined) errors.push(invalidValue('spec.schedule', schedule, fault));
  }
  errors.push(...validateNonNegative(spec, 'startingDeadlineSeconds', 'spec'));
  const concurrency = stringAt(spec, 'concurrencyPolicy');
  if (concurrency === '') errors.push(required('spec.concurrencyPolicy'));
  else if (!['Allow', 'Forbid', 'Replace'].includes(concurrency)) {
    errors.push(notSupported('spec.concurrencyPolicy', concurrency, ['Allow', 'Forbid', 'Replace']));
  }
  const zone = spec['timeZone'];
  if (typeof zone === 'string') errors.push(...validateTimeZone(zone));
  errors.push(...validateNonNegative(spec, 'successfulJobsHistoryLimit', 'spec'));
  errors.push(...validateNonNegative(spec, 'failedJobsHistoryLimit', 'spec'));
  const jobSpec = objectAt(objectAt(spec, 'jobTemplate'), 'spec') ?? {};
  errors.push(...validateJobSpec(jobSpec, 'spec.jobTemplate.spec'));
  const at = 'spec.jobTemplate.spec';
  if (jobSpec['selector'] !== undefined) {
    errors.push(invalidValue(`${at}.selector`, jobSpec['selector'], '`selector` will be auto-generated'));
  }
  if (jobSpec['manualSelector'] === true) {
    errors.push(notSupported(`${at}.manualSelector`, true, ['nil', 'false']));
  }
  return errors;
}

/** Checks the length of a CronJob's name, on create only. */
export function validateCronJobName(name: string): FieldError[] {
  if (name.length <= MAX_CRON_JOB_NAME) return [];
  return [invalidValue('metadata.name', name, `must be no more than ${MAX_CRON_JOB_NAME} characters`)];
}

function validateTimeZone(zone: string): FieldError[] {
  if (zone === '') return [invalidValue('spec.timeZone', zone, 'timeZone must be nil or non-empty string')];
  if (zone.toLowerCase() === 'local') {
    return [
      invalidValue(
        'spec.timeZone',
        zone,
        'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
      ),
    ];
  }
  try {
    Intl.DateTimeFormat('en', { timeZone: zone });
    return [];
  } catch (error) {
    if (error instanceof RangeError)
      return [invalidValue('spec.timeZone', zone, `unknown time zone ${zone}`)];
    throw error;
  }
}

/** Pods that an indexed Job may run at a time or in all. */
const MAX_INDEXED = 1_000_000;
const MODES = ['NonIndexed', 'Indexed'];

function validateJobSpec(spec: JsonObject, path: string): FieldError[] {
  const errors = [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ].flatMap((key) => validateNonNegative(spec, key, path));
  if (spec['maxFailedIndexes'] !== undefined && spec['backoffLimitPerIndex'] === undefined) {
    errors.push(required(`${path}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  }
  errors.push(...validateIndexing(spec, path));
  errors.push(...validateFailurePolicy(objectAt(spec, 'podFailurePolicy'), `${path}.podFailurePolicy`));
  const replacement = spec['podReplacementPolicy'];
  const replacements = ['Failed', 'TerminatingOrFailed'];
  if (typeof replacement === 'string' && !replacements.includes(replacement)) {
    errors.push(notSupported(`${path}.podReplacementPolicy`, replacement, replacements));
  }
  errors.push(...validatePodTemplate(objectAt(spec, 'template') ?? {}, `${path}.template`));
  const restartPolicy = stringAt(objectAt(objectAt(spec, 'template'), 'spec'), 'restartPolicy');
  const at = `${path}.template.spec.restartPolicy`;
  if (restartPolicy === 'Always' || restartPolicy === '') {
    errors.push(required(at, 'valid values: "OnFailure", "Never"'));
  } else if (restartPolicy !== 'OnFailure' && restartPolicy !== 'Never') {
    errors.push(notSupported(at, restartPolicy, ['OnFailure', 'Never']));
  } else if (spec['podFailurePolicy'] !== undefined && restartPolicy !== 'Never') {
    const why = "only 'Never' is supported when podFailurePolicy is specified";
    errors.push(invalidValue(at, restartPolicy, why));
  }
  return errors;
}

function validateIndexing(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const mode = spec['completionMode'];
  if (typeof mode === 'string' && !MODES.includes(mode)) {
    errors.push(notSupported(`${path}.completionMode`, mode, MODES));
  }
  if (mode === 'Indexed') {
    if (numberAt(spec, 'completions') === undefined) {
      errors.push(required(`${path}.completions`, 'when completion mode is Indexed'));
    }
    const parallelism = numberAt(spec, 'parallelism') ?? 0;
    if (parallelism > MAX_INDEXED) {
      const why = `must be less than or equal to ${MAX_INDEXED} when completion mode is Indexed`;
      errors.push(invalidValue(`${path}.parallelism`, parallelism, why));
    }
    return errors;
  }
  for (const key of ['backoffLimitPerIndex', 'maxFailedIndexes']) {
    if (spec[key] === undefined) continue;
    errors.push(invalidValue(`${path}.${key}`, spec[key], 'requires indexed completion mode'));
  }
  const success = objectAt(spec, 'successPolicy');
  if (success !== undefined) {
    const shown = internalForm(success, 'batch.v1.SuccessPolicy');
    errors.push(invalidValue(`${path}.successPolicy`, shown, 'requires indexed completion mode'));
  }
  return errors;
}

const MAX_FAILURE_RULES = 20;
const FAILURE_ACTIONS = ['Count', 'FailIndex', 'FailJob', 'Ignore'];
const CODE_OPERATORS = ['In', 'NotIn'];

function validateFailurePolicy(policy: JsonObject | undefined, path: string): FieldError[] {
  const rules = objectsAt(policy, 'rules');
  const errors =
    rules.length > MAX_FAILURE_RULES ? [tooMany(`${path}.rules`, rules.length, MAX_FAILURE_RULES)] : [];
  rules.forEach((rule, index) => {
    const at = `${path}.rules[${index}]`;
    const action = stringAt(rule, 'action');
    if (action === '') {
      const list = FAILURE_ACTIONS.map((name) => JSON.stringify(name)).join(', ');
      errors.push(required(`${at}.action`, `valid values: ${list}`));
    } else if (!FAILURE_ACTIONS.includes(action)) {
      errors.push(notSupported(`${at}.action`, action, FAILURE_ACTIONS));
    }
    const codes = objectAt(rule, 'onExitCodes');
    const conditions = objectsAt(rule, 'onPodConditions');
    if (codes !== undefined) errors.push(...validateExitCodes(codes, `${at}.onExitCodes`));
    if (codes !== undefined && conditions.length > 0) {
      const why = 'specifying both OnExitCodes and OnPodConditions is not supported';
      errors.push(invalidValue(at, undefined, why));
    }
    if (codes === undefined && conditions.length === 0) {
      errors.push(
        invalidValue(at, undefined, 'specifying one of OnExitCodes and OnPodConditions is required'),
      );
    }
  });
  return errors;
}

function validateExitCodes(codes: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const operator = stringAt(codes, 'operator');
  if (operator === '') {
    const list = CODE_OPERATORS.map((name) => JSON.stringify(name)).join(', ');
    errors.push(required(`${path}.operator`, `valid values: ${list}`));
  } else if (!CODE_OPERATORS.includes(operator)) {
    errors.push(notSupported(`${path}.operator`, operator, CODE_OPERATORS));
  }
  const values = Array.isArray(codes['values']) ? (codes['values'] as unknown[]) : [];
  if (values.length === 0) {
    errors.push(invalidValue(`${path}.values`, values, 'at least one value is required'));
  }
  values.forEach((value, index) => {
    if (operator === 'In' && value === 0) {
      errors.push(invalidValue(`${path}.values[${index}]`, value, 'must not be 0 for the In operator'));
    }
  });
  return errors;
}
