import { isDeepStrictEqual } from 'node:util';

import {
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  tooLong,
  type FieldError,
} from '../field-error.ts';
import {
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  stringsAt,
  type JsonObject,
} from '../json/json-object.ts';
import { validateImmutable } from './metadata.ts';
import { configKeyFaults, pathSegmentFaults, qualifiedNameFaults } from './name-rules.ts';
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

const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

/** Checks a PersistentVolumeClaim, less its metadata. */
export function validateClaim(claim: JsonObject): FieldError[] {
  const spec = objectAt(claim, 'spec') ?? {};
  const errors: FieldError[] = [];
  const modes = stringsAt(spec, 'accessModes');
  if (modes.length === 0) errors.push(required('spec.accessModes', 'at least 1 access mode is required'));
  for (const mode of modes) {
    if (!ACCESS_MODES.includes(mode)) errors.push(notSupported('spec.accessModes', mode, ACCESS_MODES));
  }
  const requests = objectAt(objectAt(spec, 'resources'), 'requests');
  if (requests?.['storage'] === undefined) errors.push(required('spec.resources[storage]'));
  const mode = spec['volumeMode'];
  if (mode !== undefined && mode !== 'Filesystem' && mode !== 'Block') {
    errors.push(notSupported('spec.volumeMode', mode, ['Block', 'Filesystem']));
  }
  return errors;
}

/** Checks a changed PersistentVolumeClaim: a bound one may only ask for more. */
export function validateClaimUpdate(claim: JsonObject, old: JsonObject): FieldError[] {
  const errors = validateClaim(claim);
  const strip = (object: JsonObject): JsonObject => {
    const {
      resources: _r,
      volumeName: _v,
      volumeAttributesClassName: _c,
      ...rest
    } = objectAt(object, 'spec') ?? {};
    return rest;
  };
  const named = stringAt(objectAt(old, 'spec'), 'volumeName');
  const renamed = named !== '' && named !== stringAt(objectAt(claim, 'spec'), 'volumeName');
  if (renamed || !isDeepStrictEqual(strip(claim), strip(old))) {
    errors.push(
      forbiddenField(
        'spec',
        'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
      ),
    );
  }
  return errors;
}

/** Checks a PersistentVolume, less its metadata. */
export function validateVolume(volume: JsonObject): FieldError[] {
  const spec = objectAt(volume, 'spec') ?? {};
  const errors: FieldError[] = [];
  const modes = stringsAt(spec, 'accessModes');
  if (modes.length === 0) errors.push(required('spec.accessModes'));
  for (const mode of modes) {
    if (!ACCESS_MODES.includes(mode)) errors.push(notSupported('spec.accessModes', mode, ACCESS_MODES));
  }
  if (Object.keys(objectAt(spec, 'capacity') ?? {}).length === 0) errors.push(required('spec.capacity'));
  const policy = stringAt(spec, 'persistentVolumeReclaimPolicy');
  if (!['Delete', 'Recycle', 'Retain'].includes(policy)) {
    errors.push(notSupported('spec.persistentVolumeReclaimPolicy', policy, ['Delete', 'Recycle', 'Retain']));
  }
  return errors;
}

const EFFECTS = ['NoExecute', 'NoSchedule', 'PreferNoSchedule'];

/** Checks a Node, less its metadata. */
export function validateNode(node: JsonObject): FieldError[] {
  const seen = new Set<string>();
  return objectsAt(objectAt(node, 'spec'), 'taints').flatMap((taint, index) => {
    const at = `spec.taints[${index}]`;
    const key = stringAt(taint, 'key');
    const effect = stringAt(taint, 'effect');
    const errors = qualifiedNameFaults(key).map((fault) => invalidValue(`${at}.key`, key, fault));
    if (effect === '') errors.push(required(`${at}.effect`));
    else if (!EFFECTS.includes(effect)) errors.push(notSupported(`${at}.effect`, effect, EFFECTS));
    const both = `${key}:${effect}`;
    if (seen.has(both)) {
      errors.push({
        type: 'FieldValueDuplicate',
        field: at,
        message: `Duplicate value: ${JSON.stringify(taint)}`,
      });
    }
    seen.add(both);
    return errors;
  });
}

/** Checks an Event of the core group, less its metadata. */
export function validateEvent(event: JsonObject): FieldError[] {
  const involved = stringAt(objectAt(event, 'involvedObject'), 'namespace');
  const own = stringAt(objectAt(event, 'metadata'), 'namespace');
  if (involved === own || (involved === '' && own === 'default')) return [];
  return [invalidValue('involvedObject.namespace', involved, 'does not match event.namespace')];
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

/** Checks a RoleBinding or ClusterRoleBinding, less its metadata. */
export function validateBinding(binding: JsonObject, namespaced: boolean): FieldError[] {
  const ref = objectAt(binding, 'roleRef') ?? {};
  const errors: FieldError[] = [];
  if (stringAt(ref, 'apiGroup') !== 'rbac.authorization.k8s.io') {
    errors.push(notSupported('roleRef.apiGroup', stringAt(ref, 'apiGroup'), ['rbac.authorization.k8s.io']));
  }
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(stringAt(ref, 'kind')))
    errors.push(notSupported('roleRef.kind', stringAt(ref, 'kind'), kinds));
  const name = stringAt(ref, 'name');
  if (name === '') errors.push(required('roleRef.name'));
  else errors.push(...pathSegmentFaults(name).map((fault) => invalidValue('roleRef.name', name, fault)));
  objectsAt(binding, 'subjects').forEach((subject, index) => {
    const at = `subjects[${index}]`;
    if (stringAt(subject, 'name') === '') errors.push(required(`${at}.name`));
    const kind = stringAt(subject, 'kind');
    if (kind === 'ServiceAccount') {
      if (stringAt(subject, 'namespace') === '') errors.push(required(`${at}.namespace`));
    } else if (kind !== 'User' && kind !== 'Group') {
      errors.push(notSupported(`${at}.kind`, kind, ['ServiceAccount', 'User', 'Group']));
    }
  });
  return errors;
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

/** Checks a ControllerRevision, whose data is frozen. */
export function validateRevisionUpdate(revision: JsonObject, old: JsonObject): FieldError[] {
  return validateImmutable(revision['data'], old['data'], 'data');
}
