import { customPrinter } from './_custom-printer.ts';
import { objectAt, stringAt, type JsonObject } from '../json/json-object.ts';
import type { KubeObject } from '../object.ts';
import type { ResourceInfo } from '../resources.ts';
import type { Cell } from './_cells.ts';
import { printerOf } from './printers.ts';

export interface TableOptions {
  /** Milliseconds since the epoch, for ages. */
  readonly now: number;
  /** `includeObject` parameter; `Metadata` when absent. */
  readonly includeObject?: 'None' | 'Metadata' | 'Object';
  /** Metadata of the list; of a single object its own, of which only the resourceVersion is used. */
  readonly metadata?: {
    readonly resourceVersion?: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  /** Leaves the columns out: for every watch event after the first. */
  readonly noHeaders?: boolean;
}

const META = 'meta.k8s.io/v1';

/** `meta.k8s.io/v1` Table. */
export interface Table {
  kind: 'Table';
  apiVersion: typeof META;
  metadata: object;
  columnDefinitions: object[] | null;
  rows: TableRow[];
}

interface TableRow {
  cells: Cell[];
  conditions?: object[];
  object: object | null;
}

/** Prints objects as `meta.k8s.io/v1` Table, with kubectl's own columns. */
export function toTable(
  resource: Pick<ResourceInfo, 'kind' | 'custom'>,
  objects: readonly KubeObject[],
  options: TableOptions,
): Table {
  const printer = resource.custom === undefined ? printerOf(resource.kind) : customPrinter(resource.custom);
  const metadata: JsonObject = {};
  for (const key of ['resourceVersion', 'continue', 'remainingItemCount'] as const) {
    if (options.metadata?.[key] !== undefined) metadata[key] = options.metadata[key];
  }
  return {
    kind: 'Table',
    apiVersion: META,
    metadata,
    columnDefinitions:
      options.noHeaders === true
        ? null
        : printer.columns.map(({ name, type, wide, description, format, priority }) => ({
            name,
            type,
            format: format ?? (name === 'Name' ? 'name' : ''),
            description,
            priority: priority ?? (wide ? 1 : 0),
          })),
    rows: objects.map((object) => {
      const json: JsonObject = { ...object, kind: object.kind ?? resource.kind };
      const conditions = resource.custom === undefined ? rowConditions(resource.kind, json) : undefined;
      return {
        cells: printer.row(json, options.now),
        ...(conditions === undefined ? {} : { conditions }),
        ...includedObject(object, options.includeObject ?? 'Metadata'),
      };
    }),
  };
}

/** Returns `PartialObjectMetadata` of one object. */
export function toPartialMetadata(object: Pick<KubeObject, 'metadata'>): {
  kind: string;
  apiVersion: string;
  metadata: KubeObject['metadata'];
} {
  return { kind: 'PartialObjectMetadata', apiVersion: META, metadata: object.metadata };
}

/** Returns `PartialObjectMetadataList`. */
export function toPartialMetadataList(objects: readonly KubeObject[], metadata: object): object {
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: META,
    metadata,
    items: objects.map(toPartialMetadata),
  };
}

function includedObject(
  object: KubeObject,
  include: 'None' | 'Metadata' | 'Object',
): { object: object | null } {
  if (include === 'None') return { object: null };
  return { object: include === 'Object' ? object : toPartialMetadata(object) };
}

/** A finished Pod's row is marked, so that clients can grey it out. */
function rowConditions(kind: string, object: JsonObject): object[] | undefined {
  if (kind !== 'Pod') return undefined;
  const status = objectAt(object, 'status');
  const phase = stringAt(status, 'phase');
  if (phase === 'Succeeded') {
    return [
      {
        type: 'Completed',
        status: 'True',
        reason: 'Succeeded',
        message: 'The pod has completed successfully.',
      },
    ];
  }
  if (phase === 'Failed') {
    return [{ type: 'Completed', status: 'True', reason: 'Failed', message: 'The pod failed.' }];
  }
  return undefined;
}
