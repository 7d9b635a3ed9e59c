import { isDeepStrictEqual } from 'node:util';

import { invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, stringAt, stringMapAt, type JsonObject } from '../json/json-object.ts';
import { labelSelectorOf } from '../selector/label-selector.ts';
import { cronFault } from './cron.ts';
import { goJson, internalPodTemplate } from './internal-form.ts';
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
  errors.push(...validateImmutable(spec['completionMode'], before['completionMode'], 'spec.completionMode'));
  errors.push(
    ...validateImmutable(spec['podFailurePolicy'], before['podFailurePolicy'], 'spec.podFailurePolicy'),
  );
  errors.push(
    ...validateImmutable(
      spec['backoffLimitPerIndex'],
      before['backoffLimitPerIndex'],
      'spec.backoffLimitPerIndex',
    ),
  );
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
    const fault = cronFault(schedule);
    if (fault !== undefined) errors.push(invalidValue('spec.schedule', schedule, fault));
  }
  errors.push(...validateNonNegative(spec, 'startingDeadlineSeconds', 'spec'));
  const concurrency = stringAt(spec, 'concurrencyPolicy');
  if (!['Allow', 'Forbid', 'Replace'].includes(concurrency)) {
    errors.push(notSupported('spec.concurrencyPolicy', concurrency, ['Allow', 'Forbid', 'Replace']));
  }
  const zone = spec['timeZone'];
  if (typeof zone === 'string') errors.push(...validateTimeZone(zone));
  errors.push(...validateNonNegative(spec, 'successfulJobsHistoryLimit', 'spec'));
  errors.push(...validateNonNegative(spec, 'failedJobsHistoryLimit', 'spec'));
  const jobSpec = objectAt(objectAt(spec, 'jobTemplate'), 'spec') ?? {};
  return [...errors, ...validateJobSpec(jobSpec, 'spec.jobTemplate.spec')];
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
  if (stringAt(spec, 'completionMode') === 'Indexed' && numberAt(spec, 'completions') === undefined) {
    errors.push(required(`${path}.completions`, 'when completion mode is Indexed'));
  }
  const mode = spec['completionMode'];
  if (mode !== undefined && mode !== 'Indexed' && mode !== 'NonIndexed') {
    errors.push(notSupported(`${path}.completionMode`, mode, ['Indexed', 'NonIndexed']));
  }
  errors.push(...validatePodTemplate(objectAt(spec, 'template') ?? {}, `${path}.template`));
  const restartPolicy = stringAt(objectAt(objectAt(spec, 'template'), 'spec'), 'restartPolicy');
  if (restartPolicy === 'Always') {
    errors.push(required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  }
  return errors;
}
