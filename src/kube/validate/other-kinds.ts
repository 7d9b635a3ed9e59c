import { isDeepStrictEqual } from 'node:util';

import { invalidValue, notSupported, required, tooLong, type FieldError } from '../field-error.ts';
import {
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  stringsAt,
  type JsonObject,
} from '../json/json-object.ts';
import { validateFinalizerOwner, validateImmutable, validateLabelSelector } from './metadata.ts';
import { configKeyFaults, pathSegmentFaults, qualifiedNameFaults, subdomainFaults } from './name-rules.ts';
import { maxSecretBytes, validateFrozen } from './secret.ts';

/** Checks a ConfigMap, less its metadata. */
export function validateConfigMap(map: JsonObject): FieldError[] {
  const data = stringMapAt(map, 'data');
  const binary = stringMapAt(map, 'binaryData');
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const key of Object.keys(data).toSorted()) {
    for (const fault of configKeyFaults(key)) errors.push(invalidValue(`data[${key}]`, key, fault));
    if (Object.hasOwn(binary, key)) {
      errors.push(invalidValue(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
    bytes += Buffer.byteLength(data[key] ?? '');
  }
  for (const key of Object.keys(binary).toSorted()) {
    for (const fault of configKeyFaults(key)) errors.push(invalidValue(`binaryData[${key}]`, key, fault));
    bytes += Buffer.byteLength(binary[key] ?? '', 'base64');
  }
  if (bytes > maxSecretBytes) errors.push(tooLong('', maxSecretBytes));
  return errors;
}

/** Checks a changed ConfigMap, less its metadata. */
export function validateConfigMapUpdate(map: JsonObject, old: JsonObject): FieldError[] {
  return [...validateFrozen(map, old, ['data', 'binaryData']), ...validateConfigMap(map)];
}

/** Checks a Namespace, less its metadata. */
export function validateNamespace(namespace: JsonObject): FieldError[] {
  return stringsAt(objectAt(namespace, 'spec'), 'finalizers').flatMap((name) =>
    validateNamespaceFinalizer(name, 'spec.finalizers'),
  );
}

/** Checks what holds a Namespace back from going. */
export function validateNamespaceFinalizers(namespace: JsonObject): FieldError[] {
  return stringsAt(objectAt(namespace, 'spec'), 'finalizers').flatMap((name, index) =>
    validateNamespaceFinalizer(name, `spec.finalizers[${index}]`),
  );
}

function validateNamespaceFinalizer(name: string, path: string): FieldError[] {
  const errors = qualifiedNameFaults(name).map((fault) => invalidValue(path, name, fault));
  return [...errors, ...validateFinalizerOwner(name, path)];
}

/** Checks that the phase of a Namespace says what its marks say. */
export function validateNamespacePhase(namespace: JsonObject): FieldError[] {
  const phase = stringAt(objectAt(namespace, 'status'), 'phase');
  const leaving = objectAt(namespace, 'metadata')?.['deletionTimestamp'] !== undefined;
  const [only, when] = leaving ? ['Terminating', 'not empty'] : ['Active', 'empty'];
  if (phase === only) return [];
  const why = `may only be '${only}' if \`deletionTimestamp\` is ${when}`;
  return [invalidValue('status.Phase', phase, why)];
}

/** Checks the rules of a Role or ClusterRole. */
export function validateRules(role: JsonObject, namespaced: boolean): FieldError[] {
  return objectsAt(role, 'rules').flatMap((rule, index) => {
    const at = `rules[${index}]`;
    const errors: FieldError[] = [];
    if (stringsAt(rule, 'verbs').length === 0) {
      errors.push(required(`${at}.verbs`, 'verbs must contain at least one value'));
    }
    const urls = stringsAt(rule, 'nonResourceURLs');
    if (urls.length > 0) {
      if (namespaced) {
        errors.push(
          invalidValue(`${at}.nonResourceURLs`, urls, 'namespaced rules cannot apply to non-resource URLs'),
        );
      }
      if (stringsAt(rule, 'resources').length > 0) {
        errors.push(
          invalidValue(
            `${at}.nonResourceURLs`,
            urls,
            'rules cannot apply to both regular resources and non-resource URLs',
          ),
        );
      }
      return errors;
    }
    if (stringsAt(rule, 'apiGroups').length === 0) {
      errors.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'));
    }
    if (stringsAt(rule, 'resources').length === 0) {
      errors.push(required(`${at}.resources`, 'resource rules must supply at least one resource'));
    }
    return errors;
  });
}

/** Checks a ClusterRole: its rules, and how it gathers those of others. */
export function validateClusterRole(role: JsonObject): FieldError[] {
  const errors = validateRules(role, false);
  const aggregation = objectAt(role, 'aggregationRule');
  if (aggregation === undefined) return errors;
  const path = 'aggregationRule.clusterRoleSelectors';
  const selectors = objectsAt(aggregation, 'clusterRoleSelectors');
  if (selectors.length === 0) {
    errors.push(required(path, 'at least one clusterRoleSelector required if aggregationRule is non-nil'));
  }
  selectors.forEach((selector, index) => {
    const faults = validateLabelSelector(selector, `${path}[${index}]`);
    errors.push(...faults);
    if (faults.length > 0)
      errors.push(invalidValue(`${path}[${index}]`, undefined, 'invalid label selector.'));
  });
  return errors;
}

const RBAC_GROUP = 'rbac.authorization.k8s.io';

/** Checks a RoleBinding or ClusterRoleBinding, less its metadata. */
export function validateBinding(binding: JsonObject, namespaced: boolean): FieldError[] {
  const ref = objectAt(binding, 'roleRef') ?? {};
  const errors: FieldError[] = [];
  if (stringAt(ref, 'apiGroup') !== RBAC_GROUP) {
    errors.push(notSupported('roleRef.apiGroup', stringAt(ref, 'apiGroup'), [RBAC_GROUP]));
  }
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(stringAt(ref, 'kind')))
    errors.push(notSupported('roleRef.kind', stringAt(ref, 'kind'), kinds));
  const name = stringAt(ref, 'name');
  if (name === '') errors.push(required('roleRef.name'));
  else errors.push(...pathSegmentFaults(name).map((fault) => invalidValue('roleRef.name', name, fault)));
  objectsAt(binding, 'subjects').forEach((subject, index) => {
    const at = `subjects[${index}]`;
    errors.push(...validateSubject(subject, at, namespaced));
  });
  return errors;
}

function validateSubject(subject: JsonObject, path: string, namespaced: boolean): FieldError[] {
  const name = stringAt(subject, 'name');
  const kind = stringAt(subject, 'kind');
  const group = stringAt(subject, 'apiGroup');
  const errors = name === '' ? [required(`${path}.name`)] : [];
  switch (kind) {
    case 'ServiceAccount':
      if (name !== '') {
        errors.push(...subdomainFaults(name).map((fault) => invalidValue(`${path}.name`, name, fault)));
      }
      if (group !== '') errors.push(notSupported(`${path}.apiGroup`, group, ['']));
      // A RoleBinding's accounts may be those of its own namespace.
      if (!namespaced && stringAt(subject, 'namespace') === '') errors.push(required(`${path}.namespace`));
      return errors;
    case 'User':
    case 'Group':
      if (group === RBAC_GROUP) return errors;
      return [...errors, notSupported(`${path}.apiGroup`, group, [RBAC_GROUP])];
    default:
      return [...errors, notSupported(`${path}.kind`, kind, ['ServiceAccount', 'User', 'Group'])];
  }
}

/** Checks that a changed binding still names its role. */
export function validateRoleRefKept(binding: JsonObject, old: JsonObject): FieldError[] {
  return isDeepStrictEqual(binding['roleRef'], old['roleRef'])
    ? []
    : [invalidValue('roleRef', binding['roleRef'], 'cannot change roleRef')];
}

/** Checks a Lease, less its metadata. */
export function validateLease(lease: JsonObject): FieldError[] {
  const spec = objectAt(lease, 'spec') ?? {};
  const errors: FieldError[] = [];
  const duration = spec['leaseDurationSeconds'];
  if (typeof duration === 'number' && duration <= 0) {
    errors.push(invalidValue('spec.leaseDurationSeconds', duration, 'must be greater than 0'));
  }
  const transitions = spec['leaseTransitions'];
  if (typeof transitions === 'number' && transitions < 0) {
    errors.push(invalidValue('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
  }
  if (spec['holderIdentity'] === '') {
    errors.push(invalidValue('spec.holderIdentity', '', 'must not be empty'));
  }
  return errors;
}

/** Checks a ControllerRevision, less its metadata. */
export function validateRevision(revision: JsonObject): FieldError[] {
  const errors = revision['data'] === undefined ? [required('data', 'data is mandatory')] : [];
  const number = revision['revision'];
  if (typeof number !== 'number' || number >= 0) return errors;
  return [...errors, invalidValue('revision', number, 'must be greater than or equal to 0')];
}

/** Checks a ControllerRevision, whose data is frozen. */
export function validateRevisionUpdate(revision: JsonObject, old: JsonObject): FieldError[] {
  return validateImmutable(revision['data'], old['data'], 'data');
}
