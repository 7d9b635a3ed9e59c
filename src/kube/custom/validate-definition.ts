import { isDeepStrictEqual } from 'node:util';
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
    const faults = subdomainFaults(group);
    if (faults.length > 0) errors.push(invalidValue('spec.group', group, faults.join(',')));
    else if (!group.includes('.')) {
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
  const { common, own } = splitVersions(versions);
  own.forEach((version, index) => {
    const faults = dns1035Faults(version.name);
    if (faults.length > 0) {
      errors.push(invalidValue(`spec.versions[${index}].name`, version.name, faults.join(',')));
    }
    errors.push(...validateParts(version, `spec.versions[${index}]`, `spec.versions[${index}].schema`));
  });
  const shown = own.length === 0 ? null : own.map(internalVersion);
  if (new Set(own.map(({ name }) => name)).size < own.length) {
    errors.push(invalidValue('spec.versions', shown, 'must contain unique version names'));
  }
  if (own.filter((version) => version.storage).length !== 1) {
    errors.push(
      invalidValue('spec.versions', shown, 'must have exactly one version marked as storage version'),
    );
  }
  errors.push(...validateNames(names));
  errors.push(...validateParts(common, 'spec', 'spec.validation'));
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

/** Checks what of a definition cannot change: its objects are stored under it. */
export function validateDefinitionUpdate(object: JsonObject, old: JsonObject): FieldError[] {
  const { spec, status } = object as unknown as CustomResourceDefinition;
  const before = old as unknown as CustomResourceDefinition;
  const errors: FieldError[] = [];
  const keep = (field: string, value: unknown, was: unknown): void => {
    if (value !== was) errors.push(invalidValue(field, value, 'field is immutable'));
  };
  const isEstablished = (before.status?.conditions ?? []).some(
    ({ type, status: is }) => type === 'Established' && is === 'True',
  );
  if (isEstablished) {
    keep('spec.scope', spec.scope, before.spec.scope);
    keep('spec.names.kind', spec.names.kind, before.spec.names.kind);
  }
  keep('spec.group', spec.group, before.spec.group);
  keep('spec.names.plural', spec.names.plural, before.spec.names.plural);
  const names = new Set(spec.versions.map(({ name }) => name));
  (status?.storedVersions ?? []).forEach((name, index) => {
    if (names.has(name)) return;
    const why =
      `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a ` +
      `storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`;
    errors.push(invalidValue(`status.storedVersions[${index}]`, name, why));
  });
  return errors;
}

function validateNames(names: DefinitionNames): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['plural', 'singular', 'kind', 'listKind'] as const) {
    if ((names[field] ?? '') === '') errors.push(required(`spec.names.${field}`));
  }
  const check = (field: string, value: string | undefined, mixed = false): void => {
    const faults = dns1035Faults(mixed ? (value ?? '').toLowerCase() : (value ?? ''));
    if (value === undefined || value === '' || faults.length === 0) return;
    const why = `${mixed ? 'may have mixed case, but should otherwise match: ' : ''}${faults.join(',')}`;
    errors.push(invalidValue(`spec.names.${field}`, value, why));
  };
  check('plural', names.plural);
  check('singular', names.singular);
  check('kind', names.kind, true);
  check('listKind', names.listKind, true);
  (names.shortNames ?? []).forEach((name, index) => {
    check(`shortNames[${index}]`, name);
  });
  if (names.listKind === names.kind && names.kind !== '') {
    errors.push(invalidValue('spec.names.listKind', names.listKind, 'kind and listKind may not be the same'));
  }
  (names.categories ?? []).forEach((name, index) => {
    check(`categories[${index}]`, name);
  });
  return errors;
}

/** Parts that a version has to itself or all have in common. */
const PARTS = ['schema', 'subresources', 'additionalPrinterColumns', 'selectableFields'] as const;
type Parts = Pick<DefinitionVersion, (typeof PARTS)[number]>;

/** What all versions say alike counts as said once, for the whole definition, and is looked for there in error texts. */
function splitVersions(versions: readonly DefinitionVersion[]): {
  common: Parts;
  own: readonly DefinitionVersion[];
} {
  const [first] = versions;
  const shared = PARTS.filter((part) =>
    versions.every((version) => isDeepStrictEqual(version[part], first?.[part])),
  );
  const common = Object.fromEntries(shared.map((part) => [part, first?.[part]])) as Parts;
  const own = versions.map((version) => {
    const rest = { ...version };
    for (const part of shared) delete rest[part];
    return rest;
  });
  return { common, own };
}

/** Shows a version as the server holds it: every field under its Go name. */
function internalVersion(version: DefinitionVersion): object {
  const { schema, subresources, additionalPrinterColumns, selectableFields } = version;
  return {
    Name: version.name,
    Served: version.served,
    Storage: version.storage,
    Deprecated: version.deprecated === true,
    DeprecationWarning: version.deprecationWarning ?? null,
    Schema: schema ?? null,
    Subresources: subresources ?? null,
    AdditionalPrinterColumns: additionalPrinterColumns ?? null,
    SelectableFields: selectableFields ?? null,
  };
}

function validateParts(version: Parts, path: string, schemaParent: string): FieldError[] {
  const errors: FieldError[] = [];
  const schema: unknown = version.schema?.openAPIV3Schema;
  if (isObject(schema)) errors.push(...validateSchema(schema, `${schemaParent}.openAPIV3Schema`));
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
