import { messageOf } from '../../base/coded-error.ts';
import { goQuote } from '../../base/go-quote.ts';
import { Base64Error } from '../decode/base64.ts';
import { ConvertError } from '../decode/convert-error.ts';
import { convertStruct } from '../decode/convert-value.ts';
import type { Decoded, FieldValidation } from '../decode/decode-object.ts';
import { parseYaml, YamlError } from '../decode/parse-yaml.ts';
import { getOwn, isObject } from '../json/own-property.ts';
import type { KubeObject } from '../object.ts';
import { QuantityError } from '../quantity.ts';
import { convertCustom } from '../custom/convert-custom.ts';
import { parseApiVersion, structOfResource, type ResourceInfo } from '../resources.ts';
import type { StructSchema } from '../schema/schema.ts';
import { applyConflict, badRequest, plainError, type StatusCause, type StatusError } from '../status.ts';
import { checkConfiguration } from './_check-configuration.ts';
import { fieldSetOf } from './_field-set-of.ts';
import { FOLLOWED, refreshLastApplied, stillAsLastApplied } from './_last-applied.ts';
import { mergeConfiguration, removePaths } from './_merge.ts';
import { shapeOfStruct, type Shape } from './_shape.ts';
import { FieldSet, formatFieldPath, type Path } from './field-set.ts';
import {
  changesOf,
  claimed,
  isSameManager,
  readManaged,
  writeManaged,
  type FieldManager,
  type Managed,
  type ManagedFieldsEntry,
} from './managed-fields.ts';

export interface ApplyOptions {
  readonly resource: ResourceInfo;
  readonly by: FieldManager;
  /** Take fields over from other managers instead of failing. */
  readonly force: boolean;
  readonly fieldValidation: FieldValidation;
}

/** Manager that is given what an object without managedFields held before its first apply. */
const BEFORE_FIRST_APPLY = 'before-first-apply';

/**
 * Applies the configuration in `body` (YAML, of which JSON is a part) to the stored object, or makes a new one when
 * there is none. What this manager applied before and leaves out now goes, unless another manager owns it.
 * The outcome carries its new managedFields and is not yet defaulted, validated or stored.
 *
 * @throws StatusError 409 with a cause per conflict (force off), 400 and 500 for bodies that cannot be applied
 */
export function serverSideApply<T extends KubeObject>(
  current: T | undefined,
  body: Uint8Array,
  options: ApplyOptions,
): Decoded<T> {
  const { config, warnings } = parseConfiguration(body, options);
  const { resource, by } = options;
  const struct = structOfResource(resource);
  if (struct === undefined) throw plainError(`no schema for ${resource.kind}`);
  checkFits(config, struct, resource);
  const shape = shapeOfStruct(struct);
  const claim: ManagedFieldsEntry = {
    manager: by.manager,
    operation: 'Apply',
    apiVersion: resource.apiVersion,
    time: by.time,
    ...(by.subresource === undefined || by.subresource === '' ? {} : { subresource: by.subresource }),
  };
  const managed = managersOf(current, struct, by);
  const previous = managed.find(({ entry }) => isSameManager(entry, claim));
  const applied = fieldSetOf(claimed(config), shape);
  const others = managed.filter((other) => other !== previous);

  const live = current ?? newObject(config, resource);
  const merged = mergeConfiguration(live, { ...config, metadata: mergedMetadata(config) }, shape);
  const abandoned = abandonedPaths(previous?.set, [applied, ...others.map(({ set }) => set)]);
  const object = convert(removePaths(merged, abandoned, shape), struct, config, resource);

  const changes = changesOf(live, object, struct);
  const touched = changes.added.union(changes.modified);
  const conflicts = others
    .map(({ entry, set }) => ({ entry, set: set.intersection(touched) }))
    .filter(({ set }) => !set.isEmpty);
  const standing = options.force ? [] : withoutLastApplied(conflicts, live, shape, by);
  if (standing.length > 0) throw conflictError(standing);

  const kept = others.map(({ entry, set }) => ({
    entry,
    set: set.difference(touched).difference(changes.removed),
  }));
  const isNoop = current !== undefined && touched.isEmpty && changes.removed.isEmpty;
  const { time: _now, ...untimed } = claim;
  // What changes nothing has no time of its own, also where it claims more than before.
  const since = previous?.entry.time;
  const entry = isNoop ? { ...untimed, ...(since === undefined ? {} : { time: since }) } : claim;
  const entries = writeManaged([...kept, { entry, set: applied }]);
  if (entries.length > 0) object.metadata.managedFields = entries;
  else delete object.metadata.managedFields;
  if (by.manager === FOLLOWED) refreshLastApplied(object, config);
  return { object: object as T, warnings };
}

function parseConfiguration(
  body: Uint8Array,
  { resource, fieldValidation }: ApplyOptions,
): { config: Record<string, unknown>; warnings: readonly string[] } {
  const { value, duplicates } = readYaml(body);
  if (!isObject(value) && value !== null && value !== undefined) {
    const type = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    throw badRequest(
      `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${type} into Go value of type map[string]interface {}`,
    );
  }
  const config = isObject(value) ? value : {};
  const apiVersion = textOf(config['apiVersion']);
  const kind = textOf(config['kind']);
  const { group, version } = parseApiVersion(apiVersion);
  if (apiVersion !== resource.apiVersion || kind !== resource.kind) {
    throw badRequest(`invalid object type: ${group}/${version}, Kind=${kind}`);
  }
  const metadata = config['metadata'];
  if (isObject(metadata) && metadata['managedFields'] !== undefined && metadata['managedFields'] !== null) {
    throw badRequest('metadata.managedFields must be nil');
  }
  if (duplicates.length > 0 && fieldValidation === 'Strict') {
    throw badRequest(`error strict decoding YAML: yaml: unmarshal errors:\n  ${duplicates.join('\n  ')}`);
  }
  return { config, warnings: fieldValidation === 'Warn' ? duplicates : [] };
}

function readYaml(body: Uint8Array): { value: unknown; duplicates: readonly string[] } {
  try {
    return parseYaml(Buffer.from(body).toString('utf8'));
  } catch (error) {
    if (error instanceof YamlError) {
      throw badRequest(`error decoding YAML: error converting YAML to JSON: ${error.message}`, {
        cause: error,
      });
    }
    throw error;
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function checkFits(config: Record<string, unknown>, struct: StructSchema, resource: ResourceInfo): void {
  const faults = checkConfiguration(config, struct);
  if (faults.length === 0) return;
  const metadata = isObject(config['metadata']) ? config['metadata'] : {};
  const subject = `${textOf(metadata['namespace'])}/${textOf(metadata['name'])}; ${gvkText(resource)}`;
  const list = faults.length === 1 ? faults[0] : `errors:\n${faults.map((fault) => `  ${fault}`).join('\n')}`;
  throw plainError(`failed to create typed patch object (${subject}): ${list}`);
}

/** Prints `apps/v1, Kind=Deployment`; the core group leaves its place empty: `/v1, Kind=Pod`. */
function gvkText({ group, version, kind }: ResourceInfo): string {
  return `${group}/${version}, Kind=${kind}`;
}

function managersOf(current: KubeObject | undefined, struct: StructSchema, by: FieldManager): Managed[] {
  if (current === undefined) return [];
  const managed = readManaged((current.metadata.managedFields as ManagedFieldsEntry[] | undefined) ?? []);
  if (managed.length > 0) return managed;
  const { added, modified } = changesOf(undefined, current, struct);
  const entry: ManagedFieldsEntry = {
    manager: BEFORE_FIRST_APPLY,
    operation: 'Update',
    apiVersion: current.apiVersion,
    time: by.time,
  };
  return [{ entry, set: added.union(modified) }];
}

function newObject(config: Record<string, unknown>, resource: ResourceInfo): KubeObject {
  const { name, namespace } = isObject(config['metadata']) ? config['metadata'] : {};
  return {
    kind: resource.kind,
    apiVersion: resource.apiVersion,
    metadata: {
      name: textOf(name),
      ...(textOf(namespace) === '' ? {} : { namespace: textOf(namespace) }),
    },
  };
}

/** The server's own metadata cannot be applied; what else is there is laid over what is stored. */
function mergedMetadata(config: Record<string, unknown>): Record<string, unknown> {
  const metadata = getOwn(config, 'metadata');
  if (!isObject(metadata)) return {};
  const { managedFields: _managed, creationTimestamp: _created, ...rest } = metadata;
  return rest;
}

/** What the manager claimed before, and nobody claims now: the places that go, each with all below it. */
function abandonedPaths(previous: FieldSet | undefined, claims: readonly FieldSet[]): FieldSet {
  const abandoned = new FieldSet();
  for (const path of previous?.paths() ?? []) {
    if (!claims.some((set) => set.has(path) || isClaimedBelow(set, path))) abandoned.add(path);
  }
  return abandoned;
}

/** A field stays while someone owns a part of it; an item of a list goes with its owner. */
function isClaimedBelow(set: FieldSet, path: Path): boolean {
  const last = path.at(-1) ?? '';
  return last.startsWith('f:') && set.hasWithin(path);
}

function convert(
  value: unknown,
  struct: StructSchema,
  config: Record<string, unknown>,
  resource: ResourceInfo,
): KubeObject {
  try {
    if (resource.custom !== undefined && isObject(value)) return convertCustom(value, resource.custom).object;
    return convertStruct(value, struct, { unknown: [] }) as unknown as KubeObject;
  } catch (error) {
    if (error instanceof ConvertError || error instanceof QuantityError || error instanceof Base64Error) {
      const metadata = isObject(config['metadata']) ? config['metadata'] : {};
      const subject = `${textOf(metadata['namespace'])}/${textOf(metadata['name'])}; ${gvkText(resource)}`;
      throw badRequest(
        `failed to convert merged object (${subject}) to proper version: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
    throw error;
  }
}

/** Leaves out what only stands against the same user's earlier applying on the client's side. */
function withoutLastApplied(
  conflicts: readonly Managed[],
  live: KubeObject,
  shape: Shape,
  by: FieldManager,
): readonly Managed[] {
  const own = by.manager === FOLLOWED && conflicts.length > 0 ? stillAsLastApplied(live, shape) : undefined;
  if (own === undefined) return conflicts;
  return conflicts
    .map(({ entry, set }) => ({ entry, set: set.difference(own) }))
    .filter(({ set }) => !set.isEmpty);
}

function conflictError(conflicts: readonly Managed[]): StatusError {
  const sorted = conflicts
    .map(({ entry, set }) => ({ who: describeManager(entry), paths: set.paths().map(formatFieldPath) }))
    .toSorted((a, b) => (a.who < b.who ? -1 : a.who > b.who ? 1 : 0));
  const causes: StatusCause[] = sorted.flatMap(({ who, paths }) =>
    paths.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${who}`, field })),
  );
  const [only] = causes;
  const text =
    causes.length === 1 && only !== undefined
      ? `${only.message ?? ''}: ${only.field ?? ''}`
      : sorted
          .map(({ who, paths }) => [`conflicts with ${who}:`, ...paths.map((path) => `- ${path}`)].join('\n'))
          .join('\n');
  const count = `${causes.length} conflict${causes.length === 1 ? '' : 's'}`;
  return applyConflict(`Apply failed with ${count}: ${text}`, causes);
}

function describeManager(entry: ManagedFieldsEntry): string {
  const subresource =
    entry.subresource === undefined || entry.subresource === ''
      ? ''
      : ` with subresource ${goQuote(entry.subresource)}`;
  const using = entry.operation === 'Update' ? ` using ${entry.apiVersion ?? ''}` : '';
  return `${goQuote(entry.manager ?? '')}${subresource}${using}`;
}
