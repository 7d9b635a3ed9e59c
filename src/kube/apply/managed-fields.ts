import { convertStruct } from '../decode/convert-value.ts';
import { objectAt } from '../json/json-object.ts';
import type { KubeObject } from '../object.ts';
import { parseApiVersion } from '../resources.ts';
import { findKindStruct, type StructSchema } from '../schema/schema.ts';
import { compareStates, type Comparison } from './_compare.ts';
import { shapeOfStruct } from './_shape.ts';
import { FieldSet, type Path } from './field-set.ts';

/** One entry of `metadata.managedFields`. */
export interface ManagedFieldsEntry {
  manager?: string;
  operation?: 'Apply' | 'Update';
  apiVersion?: string;
  time?: string;
  fieldsType?: 'FieldsV1';
  fieldsV1?: Record<string, unknown>;
  subresource?: string;
}

export interface FieldManager {
  /** `fieldManager` parameter, else `managerOf` the User-Agent. */
  readonly manager: string;
  readonly subresource?: string;
  /** RFC 3339 second. */
  readonly time: string;
}

/** Managers longer than this are cut, as the parameter may not be longer either. */
const MAX_MANAGER = 128;

/** Names the manager of a request that gave no `fieldManager`: the user agent up to `/`, `unknown` without one. */
export function managerOf(userAgent: string | undefined): string {
  const name = (userAgent ?? '').split('/')[0] ?? '';
  return name === '' ? 'unknown' : name.slice(0, MAX_MANAGER);
}

/** What one manager owns, decoded. */
export interface Managed {
  readonly entry: Readonly<ManagedFieldsEntry>;
  readonly set: FieldSet;
}

/**
 * Returns the managedFields after a create (no `before`), update or patch that was not an apply: what changed
 * belongs to the writer now, what went belongs to nobody. Absent when nobody owns anything.
 */
export function updateManagedFields(
  before: KubeObject | undefined,
  after: KubeObject,
  by: FieldManager,
  struct: StructSchema | undefined = structOfObject(after),
): ManagedFieldsEntry[] {
  if (struct === undefined) return (after.metadata.managedFields as ManagedFieldsEntry[] | undefined) ?? [];
  const managed = readManaged(before === undefined ? [] : managedFieldsAfter(before, after, by.subresource));
  const changes = changesOf(before, after, struct);
  const touched = changes.added.union(changes.modified);
  const mine = touched.without(ignoredPaths(after, by.subresource));
  const others = managed.map(({ entry, set }) => ({
    entry,
    set: set.difference(touched).difference(changes.removed),
  }));
  return writeManaged(mine.isEmpty ? others : assign(others, mine, after.apiVersion, by));
}

/**
 * Returns who owned what before a change. Clients may say so themselves, and one empty entry clears all; a subresource's may not, and
 * what cannot be read counts for nothing.
 */
function managedFieldsAfter(before: KubeObject, after: KubeObject, subresource = ''): ManagedFieldsEntry[] {
  const stored = (before.metadata.managedFields as ManagedFieldsEntry[] | undefined) ?? [];
  const sent = (after.metadata.managedFields as ManagedFieldsEntry[] | undefined) ?? [];
  if (sent.length === 0 || subresource !== '') return stored;
  if (sent.length === 1 && Object.keys(sent[0] ?? {}).length === 0) return [];
  const isReadable = sent.every(
    ({ fieldsType, operation }) =>
      fieldsType === 'FieldsV1' && (operation === 'Apply' || operation === 'Update'),
  );
  return isReadable ? sent : stored;
}

function assign(others: readonly Managed[], mine: FieldSet, apiVersion: string, by: FieldManager): Managed[] {
  const entry: ManagedFieldsEntry = {
    manager: by.manager,
    operation: 'Update',
    apiVersion,
    time: by.time,
    ...(by.subresource === undefined || by.subresource === '' ? {} : { subresource: by.subresource }),
  };
  const known = others.find((other) => isSameManager(other.entry, entry));
  const rest = others.filter((other) => other !== known);
  return [...rest, { entry, set: known === undefined ? mine : known.set.union(mine) }];
}

/** Tells whether two entries are the same manager's; an applier is one, whatever version it applies in. */
export function isSameManager(a: ManagedFieldsEntry, b: ManagedFieldsEntry): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    (a.subresource ?? '') === (b.subresource ?? '') &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  );
}

/** Decodes stored entries; those without fields are left out. */
export function readManaged(entries: readonly ManagedFieldsEntry[]): Managed[] {
  return entries
    .filter((entry) => entry.fieldsV1 !== undefined)
    .map((entry) => ({ entry, set: FieldSet.fromFields(entry.fieldsV1) }));
}

/** Encodes entries in the API's order: applied ones first, then by time and name. Empty ones go. */
export function writeManaged(managed: readonly Managed[]): ManagedFieldsEntry[] {
  return managed
    .filter(({ set }) => !set.isEmpty)
    .map(({ entry, set }) => ({
      manager: entry.manager ?? '',
      operation: entry.operation ?? 'Update',
      apiVersion: entry.apiVersion ?? '',
      ...(entry.time === undefined ? {} : { time: entry.time }),
      fieldsType: 'FieldsV1' as const,
      fieldsV1: set.toFields(),
      ...(entry.subresource === undefined || entry.subresource === ''
        ? {}
        : { subresource: entry.subresource }),
    }))
    .toSorted(compareEntries);
}

function compareEntries(a: ManagedFieldsEntry, b: ManagedFieldsEntry): number {
  for (const key of ['operation', 'time', 'manager', 'apiVersion', 'subresource'] as const) {
    const left = a[key] ?? '';
    const right = b[key] ?? '';
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/** Returns the struct of an object's kind. */
export function structOfObject(object: KubeObject): StructSchema | undefined {
  const { group, version } = parseApiVersion(object.apiVersion);
  return findKindStruct(group, version, object.kind);
}

/** Compares two states of an object; a new one with the empty object of its kind. */
export function changesOf(
  before: KubeObject | undefined,
  after: KubeObject,
  struct: StructSchema,
): Comparison {
  const old = before === undefined ? emptyOf(struct) : stripped(before);
  return compareStates(old, stripped(after), shapeOfStruct(struct));
}

const empties = new WeakMap<StructSchema, Record<string, unknown>>();

/** What a kind holds when nothing is said, less what nobody can own. */
function emptyOf(struct: StructSchema): Record<string, unknown> {
  let empty = empties.get(struct);
  if (empty === undefined)
    empties.set(struct, (empty = stripped(convertStruct({}, struct, { unknown: [] }))));
  return empty;
}

/** Metadata that nobody owns. */
const UNOWNED: ReadonlySet<string> = new Set([
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'generation',
  'managedFields',
  'resourceVersion',
]);

/** Returns an object less what no manager can own. */
export function stripped(object: unknown): Record<string, unknown> {
  const { apiVersion, kind, metadata, ...rest } = object as Record<string, unknown>;
  const owned = Object.fromEntries(
    Object.entries((metadata ?? {}) as Record<string, unknown>).filter(([key]) => !UNOWNED.has(key)),
  );
  const result = { ...rest, metadata: owned };
  return kind === 'Job' && apiVersion === 'batch/v1' ? withoutJobSelector(result) : result;
}

/** Returns what a configuration claims: itself, less what no manager can own. */
export function claimed(config: object): Record<string, unknown> {
  const { metadata, ...rest } = stripped(config);
  return Object.keys(metadata as object).length === 0 ? rest : { ...rest, metadata };
}

/** Status only belongs to writers of status; those own nothing of the spec. Nodes and Events have but one writer. */
function ignoredPaths(object: KubeObject, subresource: string | undefined): Path[] {
  if (subresource === 'status') return [['f:spec']];
  if (object.kind === 'Node' || object.kind === 'Event') return [];
  const ignored: Path[] = [['f:status']];
  if (object.kind === 'Namespace' && subresource !== 'finalize') ignored.push(['f:spec', 'f:finalizers']);
  return ignored;
}

/** Labels by which a Job finds its Pods: the server puts them there while it stores, so they are nobody's. */
const JOB_LABELS: ReadonlySet<string> = new Set([
  'batch.kubernetes.io/controller-uid',
  'batch.kubernetes.io/job-name',
  'controller-uid',
  'job-name',
]);

function withoutJobSelector(job: Record<string, unknown>): Record<string, unknown> {
  const { selector, template, ...spec } = objectAt(job, 'spec') ?? {};
  const templateMetadata = objectAt(objectAt({ template }, 'template'), 'metadata');
  return {
    ...job,
    metadata: withoutJobLabels(objectAt(job, 'metadata') ?? {}),
    spec: {
      ...spec,
      ...(spec['manualSelector'] === true && selector !== undefined ? { selector } : {}),
      template: { ...objectAt({ template }, 'template'), metadata: withoutJobLabels(templateMetadata ?? {}) },
    },
  };
}

function withoutJobLabels(metadata: Record<string, unknown>): Record<string, unknown> {
  const { labels, ...rest } = metadata;
  const own = Object.entries(objectAt({ labels }, 'labels') ?? {}).filter(([key]) => !JOB_LABELS.has(key));
  return own.length === 0 ? rest : { ...rest, labels: Object.fromEntries(own) };
}
