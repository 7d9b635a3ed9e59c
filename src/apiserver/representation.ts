import type { KubeObject } from '../kube/object.ts';
import type { ResourceInfo } from '../kube/resources.ts';
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

type IncludeObject = 'None' | 'Metadata' | 'Object';

/** Turns one object into what the client asked for: itself, its metadata, or a table of one row. */
export function representObject(object: KubeObject, options: RepresentOptions): object {
  const { representation, resource } = options;
  switch (representation.as) {
    case 'Table': {
      const { resourceVersion } = object.metadata;
      const metadata = resourceVersion === undefined ? {} : { resourceVersion };
      return versioned(
        toTable(printedAs(object, resource), [object], tableOptions(options, metadata)),
        representation,
      );
    }
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList':
      return versioned(toPartialMetadata(object), representation);
    case undefined:
      return inWireOrder(object);
    default:
      return representation.as satisfies never;
  }
}

/** Turns a list into what the client asked for. */
export function representList(list: ObjectList, options: RepresentOptions): object {
  const { representation, resource } = options;
  switch (representation.as) {
    case 'Table':
      return versioned(toTable(resource, list.items, tableOptions(options, list.metadata)), representation);
    case 'PartialObjectMetadata':
    case 'PartialObjectMetadataList':
      return versioned(toPartialMetadataList(list.items, list.metadata), representation);
    case undefined: {
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

function isIncludeObject(value: string | null): value is IncludeObject {
  return value === 'None' || value === 'Metadata' || value === 'Object';
}

function versioned(value: object, representation: Representation): object {
  return representation.version === 'v1beta1' ? { ...value, apiVersion: 'meta.k8s.io/v1beta1' } : value;
}

function inWireOrder(object: KubeObject): object {
  const { kind, apiVersion, metadata, ...rest } = object;
  return { kind, apiVersion, metadata, ...rest };
}
