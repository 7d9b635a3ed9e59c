import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { isObject } from '../json/own-property.ts';
import type { JsonObject } from '../json/json-object.ts';
import { dns1035Faults, subdomainFaults } from '../validate/name-rules.ts';
import type { CustomResourceDefinition, DefinitionNames, DefinitionVersion } from './definition.ts';
import { parseJsonPath } from './json-path.ts';
import { validateSchema } from './validate-schema.ts';

const SCOPES = ['Cluster', 'Namespaced'];

/** Checks a CustomResourceDefinition except for its metadata's common rules. */
export function validateDefinition(object: JsonObject): FieldError[] {
  const { metadata, spec } = object as unknown as CustomResourceDefinition;
  const { group, scope, names, conversion } = spec;
  // Of what the type promises, only lists can be absent in a body that was decoded but not checked yet.
  const versions = Array.isArray(spec.versions) ? spec.versions : [];
  const errors: FieldError[] = [];
  const expected = `${names.plural}.${group}`;
  if (metadata.name !== expected) {
    errors.push(invalidValue('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (group === '') errors.push(required('spec.group'));
  else {
    for (const fault of subdomainFaults(group)) errors.push(invalidValue('spec.group', group, fault));
    if (!group.includes('.')) {
      errors.push(invalidValue('spec.group', group, 'should be a domain with at least one dot'));
    }
  }
  if ((scope as string) === '') errors.push(required('spec.scope'));
  else if (!SCOPES.includes(scope)) errors.push(notSupported('spec.scope', scope, SCOPES));
  if (versions.length === 0) {
    errors.push(required('spec.validation.openAPIV3Schema', 'schemas are required'));
  }
  versions.forEach((version, index) => {
    if (isObject(version.schema?.openAPIV3Schema)) return;
    errors.push(required(`spec.versions[${index}].schema.openAPIV3Schema`, 'schemas are required'));
  });
  versions.forEach((version, index) => {
    errors.push(...validateVersion(version, `spec.versions[${index}]`));
  });
  const versionNames = versions.map(({ name }) => name);
  if (new Set(versionNames).size < versionNames.length) {
    errors.push(invalidValue('spec.versions', versionNames, 'must contain unique version names'));
  }
  if (versions.filter((version) => version.storage).length !== 1) {
    const why = 'must have exactly one version marked as storage version';
    errors.push(invalidValue('spec.versions', versions.length === 0 ? null : versionNames, why));
  }
  errors.push(...validateNames(names));
  if (conversion?.strategy !== undefined && conversion.strategy !== 'None') {
    errors.push(notSupported('spec.conversion.strategy', conversion.strategy, ['None']));
  }
  if (spec.preserveUnknownFields === true) {
    errors.push(
      invalidValue(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  }
  return errors;
}

const APPROVAL = 'api-approved.kubernetes.io';

/** Checks that a group of the Kubernetes community names who approved its kinds; changes of others pass. */
export function validateApproval(object: JsonObject, old?: JsonObject): FieldError[] {
  const { spec } = object as unknown as CustomResourceDefinition;
  if (!/(?:^|\.)(?:k8s|kubernetes)\.io$/.test(spec.group)) return [];
  const approvalOf = (definition: JsonObject): string | undefined =>
    (definition as unknown as CustomResourceDefinition).metadata.annotations?.[APPROVAL];
  const approval = approvalOf(object);
  const state = approvalState(approval);
  if (old !== undefined && approvalState(approvalOf(old)) === state) return [];
  const at = `metadata.annotations[${APPROVAL}]`;
  const must = `protected groups must have approval annotation "${APPROVAL}"`;
  const see = 'see https://github.com/kubernetes/enhancements/pull/1111';
  if (state === 'missing') return [required(at, `${must}, ${see}`)];
  if (state !== 'invalid') return [];
  const how = 'with either a URL or a reason starting with "unapproved"';
  return [invalidValue(at, approval, `${must} ${how}, ${see}`)];
}

function approvalState(approval: string | undefined): 'missing' | 'bypassed' | 'approved' | 'invalid' {
  if (approval === undefined || approval === '') return 'missing';
  if (approval.startsWith('unapproved')) return 'bypassed';
  return URL.canParse(approval) && new URL(approval).host !== '' ? 'approved' : 'invalid';
}

/** Checks what of a definition cannot change. */
export function validateDefinitionUpdate(object: JsonObject, old: JsonObject): FieldError[] {
  const { spec } = object as unknown as CustomResourceDefinition;
  const { spec: before } = old as unknown as CustomResourceDefinition;
  const errors: FieldError[] = [];
  const keep = (field: string, value: unknown, was: unknown): void => {
    if (value !== was) errors.push(invalidValue(field, value, 'field is immutable'));
  };
  keep('spec.group', spec.group, before.group);
  keep('spec.scope', spec.scope, before.scope);
  keep('spec.names.plural', spec.names.plural, before.names.plural);
  keep('spec.names.kind', spec.names.kind, before.names.kind);
  return errors;
}

function validateNames(names: DefinitionNames): FieldError[] {
  const errors: FieldError[] = [];
  const check = (field: string, value: string): void => {
    if (value === '') errors.push(required(`spec.names.${field}`));
    else {
      for (const fault of dns1035Faults(value.toLowerCase())) {
        errors.push(invalidValue(`spec.names.${field}`, value, fault));
      }
    }
  };
  check('plural', names.plural);
  check('kind', names.kind);
  if (names.singular !== undefined) check('singular', names.singular);
  if (names.listKind !== undefined) check('listKind', names.listKind);
  (names.shortNames ?? []).forEach((name, index) => {
    check(`shortNames[${index}]`, name);
  });
  if (names.listKind === names.kind && names.kind !== '') {
    errors.push(invalidValue('spec.names.listKind', names.listKind, 'kind and listKind may not be the same'));
  }
  return errors;
}

function validateVersion(version: DefinitionVersion, path: string): FieldError[] {
  const errors: FieldError[] = dns1035Faults(version.name).map((fault) =>
    invalidValue(`${path}.name`, version.name, fault),
  );
  const schemaPath = `${path}.schema.openAPIV3Schema`;
  const schema: unknown = version.schema?.openAPIV3Schema;
  if (isObject(schema)) errors.push(...validateSchema(schema, schemaPath));
  (version.additionalPrinterColumns ?? []).forEach(({ name, type, jsonPath }, index) => {
    const at = `${path}.additionalPrinterColumns[${index}]`;
    const types = ['boolean', 'date', 'integer', 'number', 'string'];
    if (name === '') errors.push(required(`${at}.name`));
    if (!types.includes(type)) errors.push(notSupported(`${at}.type`, type, types));
    if (jsonPath === '') errors.push(required(`${at}.jsonPath`));
    else if (parseJsonPath(jsonPath) === undefined) {
      errors.push(invalidValue(`${at}.jsonPath`, jsonPath, 'this form of path is not understood'));
    }
  });
  const { scale } = version.subresources ?? {};
  if (scale !== undefined) {
    errors.push(
      ...validatePath(`${path}.subresources.scale.specReplicasPath`, scale.specReplicasPath, '.spec'),
    );
    errors.push(
      ...validatePath(`${path}.subresources.scale.statusReplicasPath`, scale.statusReplicasPath, '.status'),
    );
  }
  return errors;
}

function validatePath(field: string, path: string, under: string): FieldError[] {
  if (path === '') return [required(field)];
  const isPlain = /^(?:\.[A-Za-z0-9_-]+)+$/.test(path);
  if (!isPlain) return [invalidValue(field, path, 'must be a json path of plain fields')];
  if (path.startsWith(`${under}.`)) return [];
  return [forbiddenField(field, `should be a json path under ${under}`)];
}
