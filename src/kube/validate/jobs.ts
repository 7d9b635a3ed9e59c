import { isDeepStrictEqual } from 'node:util';

import { goJson } from '../../base/go-json.ts';
import { invalidValue, notSupported, required, tooLong, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, stringAt, stringMapAt, type JsonObject } from '../json/json-object.ts';
import { labelSelectorOf } from '../selector/label-selector.ts';
import { cronFault } from './cron.ts';
import { internalForm, internalPodTemplate } from './internal-form.ts';
import { validateFailurePolicy, validateSuccessPolicy } from './job-policies.ts';
import { validateImmutable, validateLabelSelector, validateNonNegative } from './metadata.ts';
import { labelNameFaults, subdomainFaults } from './name-rules.ts';
import { validatePodTemplate } from './workloads.ts';

/** A CronJob's Jobs get eleven characters more, and a Job's name is a label value. */
const MAX_CRON_JOB_NAME = 52;

/** Checks a new Job, less its metadata. */
export function validateJob(job: JsonObject): FieldError[] {
  const spec = objectAt(job, 'spec') ?? {};
  return [
    ...validateGeneratedSelector(job, spec),
    ...validateWholeSpec(spec),
    ...validateHostNames(job, spec),
  ];
}

function validateWholeSpec(spec: JsonObject): FieldError[] {
  const selector = objectAt(spec, 'selector');
  const errors = validateJobSpec(spec, 'spec');
  const faults =
    selector === undefined ? [required('spec.selector')] : validateLabelSelector(selector, 'spec.selector');
  errors.push(...faults);
  const metadata = objectAt(objectAt(spec, 'template'), 'metadata');
  const isReadable = selector === undefined || faults.length === 0;
  const fits = selector !== undefined && isReadable && matches(selector, stringMapAt(metadata, 'labels'));
  if (isReadable && !fits) {
    const labels = objectAt(metadata, 'labels');
    errors.push(
      invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'),
    );
  }
  return errors;
}

function matches(selector: JsonObject, labels: Readonly<Record<string, string>>): boolean {
  return labelSelectorOf(selector).matches(labels);
}

/** A selector that the server makes needs the labels that it makes: nobody else's may stand in their place. */
function validateGeneratedSelector(job: JsonObject, spec: JsonObject): FieldError[] {
  const selector = objectAt(spec, 'selector');
  if (spec['manualSelector'] === true || selector === undefined) return [];
  const errors: FieldError[] = [];
  const path = 'spec.template.metadata.labels';
  const labels = stringMapAt(objectAt(objectAt(spec, 'template'), 'metadata'), 'labels');
  const expected = jobLabels(job);
  for (const [key, value] of expected) {
    if (labels[key] === value) continue;
    const why = `must be '${value}'`;
    errors.push(
      labels[key] === undefined
        ? required(`${path}[${key}]`, why)
        : invalidValue(`${path}[${key}]`, labels, why),
    );
  }
  if (validateLabelSelector(selector, '').length === 0 && !matches(selector, Object.fromEntries(expected))) {
    errors.push(invalidValue('spec.selector', selector, '`selector` not auto-generated'));
  }
  return errors;
}

function jobLabels(job: JsonObject): [string, string][] {
  const metadata = objectAt(job, 'metadata');
  const [uid, name] = [stringAt(metadata, 'uid'), stringAt(metadata, 'name')];
  return [
    ['controller-uid', uid],
    ['job-name', name],
    ['batch.kubernetes.io/controller-uid', uid],
    ['batch.kubernetes.io/job-name', name],
  ];
}

/** The Pods of an indexed Job are called by its name and their index. */
function validateHostNames(job: JsonObject, spec: JsonObject): FieldError[] {
  const completions = numberAt(spec, 'completions') ?? 0;
  if (spec['completionMode'] !== 'Indexed' || completions <= 0) return [];
  const name = stringAt(objectAt(job, 'metadata'), 'name');
  const longest = `${name}-${completions - 1}`;
  if (labelNameFaults(longest).length === 0) return [];
  return [
    invalidValue('metadata.name', name, `will not able to create pod with invalid DNS label: ${longest}`),
  ];
}

/** Checks a changed Job: what decides how many Pods of which kind run stays. */
export function validateJobUpdate(job: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(job, 'spec') ?? {};
  const before = objectAt(old, 'spec') ?? {};
  const errors = [...validateWholeSpec(spec), ...validateCompletions(spec, before)];
  errors.push(...validateImmutable(spec['selector'], before['selector'], 'spec.selector'));
  errors.push(...validateTemplateKept(spec, old));
  errors.push(...validateImmutable(spec['completionMode'], before['completionMode'], 'spec.completionMode'));
  errors.push(...validatePolicyKept(spec, before, 'podFailurePolicy', 'batch.v1.PodFailurePolicy'));
  for (const key of ['backoffLimitPerIndex', 'managedBy']) {
    errors.push(...validateImmutable(spec[key], before[key], `spec.${key}`));
  }
  return [...errors, ...validatePolicyKept(spec, before, 'successPolicy', 'batch.v1.SuccessPolicy')];
}

/** An indexed Job may get more or fewer indexes together with its parallelism. */
function validateCompletions(spec: JsonObject, before: JsonObject): FieldError[] {
  const path = 'spec.completions';
  if (spec['completionMode'] !== 'Indexed') {
    return validateImmutable(spec['completions'], before['completions'], path);
  }
  const { completions } = spec;
  const isKept = completions === before['completions'] || completions === undefined;
  if (isKept || completions === spec['parallelism']) return [];
  return [invalidValue(path, completions, 'can only be modified in tandem with spec.parallelism')];
}

function validatePolicyKept(spec: JsonObject, before: JsonObject, key: string, struct: string): FieldError[] {
  if (isDeepStrictEqual(spec[key], before[key])) return [];
  const policy = objectAt(spec, key);
  const shown = policy === undefined ? undefined : internalForm(policy, struct);
  return [invalidValue(`spec.${key}`, shown, 'field is immutable')];
}

/** A suspended Job that never ran may still be told where to run. */
function validateTemplateKept(spec: JsonObject, oldJob: JsonObject): FieldError[] {
  const now = objectAt(spec, 'template') ?? {};
  const before = objectAt(oldJob, 'spec');
  const old = objectAt(before, 'template') ?? {};
  const hasStarted = objectAt(oldJob, 'status')?.['startTime'] !== undefined;
  const compared = before?.['suspend'] === true && !hasStarted ? placedAs(old, now) : old;
  if (isDeepStrictEqual(now, compared)) return [];
  const shown = goJson(internalPodTemplate(now));
  return [
    {
      type: 'FieldValueInvalid',
      field: 'spec.template',
      message: `Invalid value: ${shown}: field is immutable`,
    },
  ];
}

/** Returns a template that says of where its Pods run, and how they are labelled, what `other` says. */
function placedAs(template: JsonObject, other: JsonObject): JsonObject {
  const spec = { ...objectAt(template, 'spec') };
  const wanted = objectAt(other, 'spec') ?? {};
  for (const key of ['nodeSelector', 'tolerations', 'schedulingGates']) take(spec, wanted, key);
  const affinity = { ...objectAt(spec, 'affinity') };
  take(affinity, objectAt(wanted, 'affinity') ?? {}, 'nodeAffinity');
  const isNone = Object.keys(affinity).length === 0 && wanted['affinity'] === undefined;
  take(spec, isNone ? {} : { affinity }, 'affinity');
  const metadata = { ...objectAt(template, 'metadata') };
  const labelled = objectAt(other, 'metadata') ?? {};
  for (const key of ['labels', 'annotations']) take(metadata, labelled, key);
  return { ...template, metadata, spec };
}

function take(target: JsonObject, from: JsonObject, key: string): void {
  if (from[key] === undefined) delete target[key];
  else target[key] = from[key];
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
  const zone = spec['timeZone'];
  if (typeof zone === 'string') errors.push(...validateTimeZone(zone));
  const concurrency = stringAt(spec, 'concurrencyPolicy');
  if (concurrency === '') errors.push(required('spec.concurrencyPolicy'));
  else if (!['Allow', 'Forbid', 'Replace'].includes(concurrency)) {
    errors.push(notSupported('spec.concurrencyPolicy', concurrency, ['Allow', 'Forbid', 'Replace']));
  }
  const jobSpec = objectAt(objectAt(spec, 'jobTemplate'), 'spec') ?? {};
  errors.push(...validateJobSpec(jobSpec, 'spec.jobTemplate.spec'));
  const at = 'spec.jobTemplate.spec';
  if (jobSpec['selector'] !== undefined) {
    errors.push(invalidValue(`${at}.selector`, jobSpec['selector'], '`selector` will be auto-generated'));
  }
  if (jobSpec['manualSelector'] === true) {
    errors.push(notSupported(`${at}.manualSelector`, true, ['nil', 'false']));
  }
  errors.push(...validateNonNegative(spec, 'successfulJobsHistoryLimit', 'spec'));
  errors.push(...validateNonNegative(spec, 'failedJobsHistoryLimit', 'spec'));
  return errors;
}

/** Checks the length of a CronJob's name, on create only. */
export function validateCronJobName(name: string): FieldError[] {
  if (name.length <= MAX_CRON_JOB_NAME) return [];
  return [invalidValue('metadata.name', name, `must be no more than ${MAX_CRON_JOB_NAME} characters`)];
}

function validateTimeZone(zone: string): FieldError[] {
  if (zone === '') return [invalidValue('spec.timeZone', zone, 'timeZone must be nil or non-empty string')];
  const errors: FieldError[] = [];
  if (zone.toLowerCase() === 'local') {
    const why = 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones';
    errors.push(invalidValue('spec.timeZone', zone, why));
    if (zone === 'Local') return errors;
  }
  try {
    Intl.DateTimeFormat('en', { timeZone: zone });
    return errors;
  } catch (error) {
    if (error instanceof RangeError)
      return [...errors, invalidValue('spec.timeZone', zone, `unknown time zone ${zone}`)];
    throw error;
  }
}

/** Pods that an indexed Job may run at a time, and indexes of it that may fail. */
const MAX_INDEXES = 100_000;
/** The same for Jobs with more indexes than that, each with a back-off of its own. */
const MAX_OF_LARGE = 10_000;
/** Longest name of who runs a Job in place of the Job controller. */
const MAX_MANAGER = 63;
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
  errors.push(...validateManager(spec, path));
  errors.push(...validateIndexing(spec, path));
  if (spec['podFailurePolicy'] !== undefined) {
    errors.push(...validateFailurePolicy(spec, `${path}.podFailurePolicy`));
  }
  const success = objectAt(spec, 'successPolicy');
  if (success !== undefined) {
    const at = `${path}.successPolicy`;
    const shown = internalForm(success, 'batch.v1.SuccessPolicy');
    if (spec['completionMode'] === 'Indexed') errors.push(...validateSuccessPolicy(spec, at));
    else errors.push(invalidValue(at, shown, 'requires indexed completion mode'));
  }
  errors.push(...validateReplacement(spec, `${path}.podReplacementPolicy`));
  errors.push(...validatePodTemplate(objectAt(spec, 'template') ?? {}, `${path}.template`));
  const restartPolicy = stringAt(objectAt(objectAt(spec, 'template'), 'spec'), 'restartPolicy');
  const at = `${path}.template.spec.restartPolicy`;
  if (restartPolicy === 'Always' || restartPolicy === '') {
    errors.push(required(at, 'valid values: "OnFailure", "Never"'));
  } else if (restartPolicy !== 'OnFailure' && restartPolicy !== 'Never') {
    errors.push(notSupported(at, restartPolicy, ['OnFailure', 'Never']));
  } else if (spec['podFailurePolicy'] !== undefined && restartPolicy !== 'Never') {
    const why = 'only "Never" is supported when podFailurePolicy is specified';
    errors.push(invalidValue(at, restartPolicy, why));
  }
  return errors;
}

function validateManager(spec: JsonObject, path: string): FieldError[] {
  const manager = spec['managedBy'];
  if (typeof manager !== 'string') return [];
  const at = `${path}.managedBy`;
  const errors = domainPathFaults(manager, at);
  if (manager.length > MAX_MANAGER) errors.push(tooLong(at, MAX_MANAGER));
  return errors;
}

/** Checks a name such as `acme.io/foo`. */
function domainPathFaults(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)];
  const slash = name.indexOf('/');
  const [domain, rest] = [name.slice(0, Math.max(0, slash)), name.slice(slash + 1)];
  if (domain === '' || rest === '') {
    return [invalidValue(path, name, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  const errors = subdomainFaults(domain).map((fault) => invalidValue(path, domain, fault));
  if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(rest)) {
    const regex = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
    const why = `Invalid path (e.g. 'valid/path', regex used for validation is '${regex}')`;
    errors.push(invalidValue(path, rest, why));
  }
  return errors;
}

function validateReplacement(spec: JsonObject, path: string): FieldError[] {
  const policy = spec['podReplacementPolicy'];
  const supported = spec['podFailurePolicy'] === undefined ? ['Failed', 'TerminatingOrFailed'] : ['Failed'];
  if (typeof policy !== 'string' || supported.includes(policy)) return [];
  return [notSupported(path, policy, supported)];
}

function validateIndexing(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const mode = spec['completionMode'];
  if (typeof mode === 'string' && !MODES.includes(mode)) {
    errors.push(notSupported(`${path}.completionMode`, mode, MODES));
  }
  if (mode === 'Indexed') return validateIndexed(spec, path);
  if (mode !== undefined && mode !== 'NonIndexed') return errors;
  for (const key of ['backoffLimitPerIndex', 'maxFailedIndexes']) {
    if (spec[key] === undefined) continue;
    errors.push(invalidValue(`${path}.${key}`, spec[key], 'requires indexed completion mode'));
  }
  return errors;
}

function validateIndexed(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const completions = numberAt(spec, 'completions');
  const parallelism = numberAt(spec, 'parallelism') ?? 0;
  const failed = numberAt(spec, 'maxFailedIndexes');
  const atMost = (key: string, value: number, bound: string): void => {
    errors.push(invalidValue(`${path}.${key}`, value, `must be less than or equal to ${bound}`));
  };
  if (completions === undefined) {
    errors.push(required(`${path}.completions`, 'when completion mode is Indexed'));
  }
  if (parallelism > MAX_INDEXES) {
    atMost('parallelism', parallelism, `${MAX_INDEXES} when completion mode is Indexed`);
  }
  if (completions !== undefined && failed !== undefined && failed > completions) {
    atMost('maxFailedIndexes', failed, 'completions');
  }
  if (failed !== undefined && failed > MAX_INDEXES) atMost('maxFailedIndexes', failed, `${MAX_INDEXES}`);
  const isLarge = (completions ?? 0) > MAX_INDEXES && spec['backoffLimitPerIndex'] !== undefined;
  if (!isLarge) return errors;
  const bound = `${MAX_OF_LARGE} when completions are above ${MAX_INDEXES} and used with backoff limit per index`;
  if (failed === undefined) {
    const why = `must be specified when completions is above ${MAX_INDEXES}`;
    errors.push(required(`${path}.maxFailedIndexes`, why));
  }
  if (parallelism > MAX_OF_LARGE) atMost('parallelism', parallelism, bound);
  if (failed !== undefined && failed > MAX_OF_LARGE) atMost('maxFailedIndexes', failed, bound);
  return errors;
}
