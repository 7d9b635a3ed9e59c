import { internalPackage } from '../kube/decode/decode-object.ts';
import { invalidValue } from '../kube/field-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import { inKeyOrder, withOrderedMetadata } from '../kube/schema/field-order.ts';
import { badRequest, unfitForm } from '../kube/status.ts';
import { toPartialMetadata, toPartialMetadataList, toTable } from '../kube/table/table.ts';
import type { Representation } from './negotiation.ts';
import type { ObjectList } from './read-objects.ts';

export interface RepresentOptions {
  readonly resource: ResourceInfo;
  readonly representation: Representation;
  /** Milliseconds since the epoch, for ages in tables. */
  readonly now: number;
  /** The `includeObject` parameter. */
  readonly includeObject: string | null;
  /** Leaves out the columns: every row of a watch after the first. */
  readonly noHeaders?: boolean;
}

const INCLUDE_OBJECT = ['None', 'Metadata', 'Object'] as const;

/**
 * Sees to it that a table can be made as it is asked for.
 *
 * @throws StatusError 400
 */
export function checkTableOptions({ representation, includeObject }: RepresentOptions): void {
  if (representation.as !== 'Table' || includeObject === null || includeObject === '') return;
  if (isIncludeObject(includeObject)) return;
  const why = "must be 'Metadata', 'Object', 'None', or empty";
  const { field, message } = invalidValue('includeObject', includeObject, why);
  throw badRequest(`Unable to convert to Table as requested: ${field}: ${message}`);
}

/**
 * Checks that an answer can be given the form that the client asked for: bare metadata of one object or of a list, as the
 * answer is, and rows with what the API knows.
 *
 * @throws StatusError 406, or 400 for an `includeObject` that nobody knows
 */
export function checkForm(options: RepresentOptions, isList: boolean): void {
  const { as } = options.representation;
  if (as === 'PartialObjectMetadata' && isList) {
    throw unfitForm(
      `you requested PartialObjectMetadata, but the requested object is a list (${goType(options.resource, true)})`,
    );
  }
  if (as === 'PartialObjectMetadataList' && !isList) {
    throw unfitForm(
      `you requested PartialObjectMetadataList, but the requested object is not a list (${goType(options.resource, false)})`,
    );
  }
  checkTableOptions(options);
}

/** The type that upstream's server holds such an answer in. */
function goType({ group, kind, custom }: ResourceInfo, isList: boolean): string {
  if (custom !== undefined) return isList ? '*unstructured.UnstructuredList' : '*unstructured.Unstructured';
  return `*${internalPackage(group)}.${kind}${isList ? 'List' : ''}`;
}

/** Turns one object into what the client asked for: itself, its metadata, or a table of one row. */
export function representObject(object: KubeObject, options: RepresentOptions): object {
  const { representation, resource } = options;
  switch (representation.as) {
    case 'Table': {
      const { resourceVersion } = object.metadata;
      const metadata = resourceVersion === undefined ? {} : { resourceVersion };
      const rows = shownByMetadata([object], options);
      return versioned(
        toTable(printedAs(object, resource), rows, tableOptions(options, metadata)),
        representation,
      );
    }
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList':
      return versioned(toPartialMetadata(withOrderedMetadata(object)), representation);
    case undefined:
      return resource.custom === undefined ? inWireOrder(object) : object;
    default:
      return representation.as satisfies never;
  }
}

/** Turns a list into what the client asked for. */
export function representList(list: ObjectList, options: RepresentOptions): object {
  const { representation, resource } = options;
  switch (representation.as) {
    case 'Table':
      return versioned(
        toTable(resource, shownByMetadata(list.items, options), tableOptions(options, list.metadata)),
        representation,
      );
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList':
      return versioned(
        toPartialMetadataList(list.items.map(withOrderedMetadata), list.metadata),
        representation,
      );
    case undefined: {
      if (resource.custom !== undefined) return { ...customListHead(list, resource), items: list.items };
      const items = list.items.map(({ kind: _kind, apiVersion: _version, ...rest }) => rest);
      return {
        kind: `${resource.kind}List`,
        apiVersion: resource.apiVersion,
        metadata: list.metadata,
        items,
      };
    }
    default:
      return representation.as satisfies never;
  }
}

/** What stands around the items of a list of custom objects, which is no struct: its keys are sorted, none is left out. */
function customListHead(
  { metadata }: ObjectList,
  { apiVersion, kind }: ResourceInfo,
): { apiVersion: string; items: readonly KubeObject[]; kind: string; metadata: object } {
  return {
    apiVersion,
    items: [],
    kind: `${kind}List`,
    metadata: inKeyOrder({ continue: '', ...metadata }),
  };
}

/** Puts a list together from the texts of its items. */
export function listText(list: ObjectList, resource: ResourceInfo, texts: readonly string[]): string {
  const { kind, apiVersion } = resource;
  if (resource.custom !== undefined) {
    const { items: _items, ...rest } = customListHead(list, resource);
    const head = JSON.stringify({ apiVersion: rest.apiVersion }).slice(0, -1);
    const tail = JSON.stringify({ kind: rest.kind, metadata: rest.metadata }).slice(1);
    return `${head},"items":[${texts.join(',')}],${tail}\n`;
  }
  const head = JSON.stringify({ kind: `${kind}List`, apiVersion, metadata: list.metadata });
  return `${head.slice(0, -1)},"items":[${texts.join(',')}]}\n`;
}

/** Rows show metadata in the order of its struct; custom objects are stored with sorted keys. */
function shownByMetadata(items: readonly KubeObject[], options: RepresentOptions): readonly KubeObject[] {
  const isWhole = options.resource.custom === undefined || options.includeObject === 'Object';
  return isWhole ? items : items.map(withOrderedMetadata);
}

/** A scale is printed as one, whatever it scales; the other parts of an object as the object. */
function printedAs(object: KubeObject, resource: ResourceInfo): Pick<ResourceInfo, 'kind' | 'custom'> {
  return object.kind === 'Scale' && object.apiVersion === 'autoscaling/v1' ? { kind: 'Scale' } : resource;
}

function tableOptions(
  options: RepresentOptions,
  metadata: { resourceVersion?: string },
): Parameters<typeof toTable>[2] {
  const { includeObject, now, noHeaders } = options;
  return {
    now,
    metadata,
    ...(isIncludeObject(includeObject) ? { includeObject } : {}),
    ...(noHeaders === undefined ? {} : { noHeaders }),
  };
}

function isIncludeObject(value: string | null): value is (typeof INCLUDE_OBJECT)[number] {
  return INCLUDE_OBJECT.some((known) => known === value);
}

function versioned(value: object, representation: Representation): object {
  return representation.version === 'v1beta1' ? { ...value, apiVersion: 'meta.k8s.io/v1beta1' } : value;
}

function inWireOrder(object: KubeObject): object {
  // As a rule it is so stored, and then its text is known already.
  const [first, second, third] = Object.keys(object);
  if (first === 'kind' && second === 'apiVersion' && third === 'metadata') return object;
  const { kind, apiVersion, metadata, ...rest } = object;
  return { kind, apiVersion, metadata, ...rest };
}
