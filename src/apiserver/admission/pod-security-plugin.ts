import { isDeepStrictEqual } from 'node:util';
import { podSecurityFaults, type PodSecurityLevel } from '../../admission/pod-security.ts';
import { invalidValue, type FieldError } from '../../kube/field-error.ts';
import { objectAt, type JsonObject } from '../../kube/json/json-object.ts';
import type { KubeObject } from '../../kube/object.ts';
import { forbidden, invalid } from '../../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission-chain.ts';
import type { ObjectStore } from '../object-store.ts';

const PREFIX = 'pod-security.kubernetes.io/';
const MODES = ['enforce', 'audit', 'warn'] as const;
const LEVELS: readonly PodSecurityLevel[] = ['privileged', 'baseline', 'restricted'];
/** Existing Pods that are looked at when a namespace becomes stricter. */
const MAX_PODS = 3000;

/** Where each kind keeps the description of its Pods. */
const TEMPLATES: ReadonlyMap<string, readonly string[]> = new Map([
  ['podtemplates', ['template', 'spec']],
  ['replicationcontrollers', ['spec', 'template', 'spec']],
  ['replicasets.apps', ['spec', 'template', 'spec']],
  ['deployments.apps', ['spec', 'template', 'spec']],
  ['statefulsets.apps', ['spec', 'template', 'spec']],
  ['daemonsets.apps', ['spec', 'template', 'spec']],
  ['jobs.batch', ['spec', 'template', 'spec']],
  ['cronjobs.batch', ['spec', 'jobTemplate', 'spec', 'template', 'spec']],
]);

interface Policy {
  readonly level: PodSecurityLevel;
  /** `latest` or `v1.30`. */
  readonly version: string;
}

/** Holds Pods to the level that the labels of their namespace name: refuses, warns, or notes it for the audit log. */
export function podSecurity(store: ObjectStore): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    validate: (request) => {
      const { resource, operation, subresource } = request;
      if (operation !== 'CREATE' && operation !== 'UPDATE') return;
      if (resource.group === '' && resource.resource === 'namespaces') {
        if (subresource === '') checkNamespace(store, request);
        return;
      }
      const name = resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
      const isPod = name === 'pods' && (subresource === '' || subresource === 'ephemeralcontainers');
      const path = isPod ? ['spec'] : subresource === '' ? TEMPLATES.get(name) : undefined;
      if (path === undefined) return;
      const spec = at(request.object, path);
      if (spec === undefined || isDeepStrictEqual(spec, at(request.oldObject, path))) return;
      const namespace = store.get({ resource: 'namespaces', namespace: '', name: request.namespace })?.object;
      if (namespace !== undefined) judge(request, spec, namespace, isPod);
    },
  };
}

function at(object: KubeObject | undefined, path: readonly string[]): JsonObject | undefined {
  let found: JsonObject | undefined = object as JsonObject | undefined;
  for (const step of path) found = objectAt(found, step);
  return found;
}

function judge(request: AdmissionRequest, spec: JsonObject, namespace: KubeObject, isPod: boolean): void {
  const policy = (mode: (typeof MODES)[number]): Policy => policyOf(namespace, mode);
  const faults = (wanted: Policy): string => podSecurityFaults(spec, wanted.level);
  const enforce = policy('enforce');
  if (isPod) {
    request.auditAnnotations?.set(`${PREFIX}enforce-policy`, `${enforce.level}:${enforce.version}`);
    const found = faults(enforce);
    if (found !== '') {
      const why = `violates PodSecurity "${enforce.level}:${enforce.version}": ${found}`;
      throw forbidden(request.resource, request.name, why);
    }
  }
  const audit = policy('audit');
  const noted = faults(audit);
  if (noted !== '') {
    const text = `would violate PodSecurity "${audit.level}:${audit.version}": ${noted}`;
    request.auditAnnotations?.set(`${PREFIX}audit-violations`, text);
  }
  const warn = policy('warn');
  const found = faults(warn);
  if (found !== '') {
    request.warnings.push(`would violate PodSecurity "${warn.level}:${warn.version}": ${found}`);
  }
}

function policyOf({ metadata }: KubeObject, mode: string): Policy {
  const level = LEVELS.find((each) => each === metadata.labels?.[`${PREFIX}${mode}`]);
  return { level: level ?? 'privileged', version: metadata.labels?.[`${PREFIX}${mode}-version`] ?? 'latest' };
}

function checkNamespace(store: ObjectStore, request: AdmissionRequest): void {
  const { object, oldObject } = request;
  if (object === undefined) return;
  const errors = labelErrors(object);
  if (errors.length > 0 && (oldObject === undefined || labelErrors(oldObject).length === 0)) {
    throw invalid(request.resource, object.metadata.name, errors);
  }
  const now = policyOf(object, 'enforce');
  if (oldObject === undefined || now.level === 'privileged') return;
  if (isDeepStrictEqual(now, policyOf(oldObject, 'enforce'))) return;
  const violations = new Map<string, string[]>();
  const pods = store.list('pods', { namespace: object.metadata.name, limit: MAX_PODS }).items;
  for (const { object: pod } of pods) {
    const faults = podSecurityFaults(at(pod, ['spec']) ?? {}, now.level);
    if (faults === '') continue;
    const reasons = faults.replaceAll(/ \((?:[^()"]|"[^"]*")*\)/g, '');
    violations.set(reasons, [...(violations.get(reasons) ?? []), pod.metadata.name]);
  }
  if (violations.size === 0) return;
  request.warnings.push(
    `existing pods in namespace "${object.metadata.name}" violate the new PodSecurity enforce level "${now.level}:${now.version}"`,
  );
  for (const [reasons, [first = '', ...others]] of violations) {
    const more =
      others.length === 0 ? '' : ` (and ${others.length} other pod${others.length === 1 ? '' : 's'})`;
    request.warnings.push(`${first}${more}: ${reasons}`);
  }
}

function labelErrors({ metadata }: KubeObject): FieldError[] {
  return MODES.flatMap((mode) => {
    const errors: FieldError[] = [];
    const level = metadata.labels?.[`${PREFIX}${mode}`];
    const version = metadata.labels?.[`${PREFIX}${mode}-version`];
    const field = (suffix: string): string => `metadata.labels[${PREFIX}${mode}${suffix}]`;
    if (level !== undefined && !LEVELS.some((each) => each === level)) {
      errors.push(invalidValue(field(''), level, 'must be one of privileged, baseline, restricted'));
    }
    if (version !== undefined && version !== 'latest' && !/^v1\.(?:0|[1-9][0-9]*)$/.test(version)) {
      errors.push(invalidValue(field('-version'), version, 'must be "latest" or "v1.x"'));
    }
    return errors;
  });
}
