import { numberAt, objectAt, type JsonObject } from '../json/json-object.ts';
import type { Cell } from './_cells.ts';

/** One column: name, type, whether only `-o wide` shows it, and what it holds. */
export interface Column {
  readonly name: string;
  /** `string`, `integer`, `number`, `boolean` or `date`. */
  readonly type: string;
  /** `name` for the first column; otherwise as a custom kind's definition says. */
  readonly format?: string;
  readonly wide: boolean;
  /** How far down the list of importance; 1 for what is wide, 0 for the rest, when absent. */
  readonly priority?: number;
  readonly description: string;
}

/** How one kind is printed. */
export interface Printer {
  readonly columns: readonly Column[];
  readonly row: (object: JsonObject, now: number) => Cell[];
}

/** Makes a column of text. */
export const text = (name: string, description: string): Column => ({
  name,
  type: 'string',
  wide: false,
  description,
});
/** Makes a column of numbers. */
export const count = (name: string, description: string): Column => ({
  name,
  type: 'integer',
  wide: false,
  description,
});
/** Makes a column that only `-o wide` shows. */
export const wide = (name: string, description: string): Column => ({
  name,
  type: 'string',
  wide: true,
  description,
});

export const NAME = text('Name', 'Name of the object, unique among its kind in a namespace.');
export const AGE = text('Age', 'Time since the object was created.');
export const CONTAINERS = wide('Containers', 'Names of the containers in the template.');
export const IMAGES = wide('Images', 'Images of the containers in the template.');
export const SELECTOR = wide('Selector', 'Labels by which the object finds its Pods.');

/** Returns what is wanted of an object. */
export const spec = (object: JsonObject): JsonObject => objectAt(object, 'spec') ?? {};
/** Returns what is true of an object. */
export const status = (object: JsonObject): JsonObject => objectAt(object, 'status') ?? {};
/** Returns a count of the status; absent is none. */
export const statusCount = (object: JsonObject, key: string): number => numberAt(status(object), key) ?? 0;
/** Returns how many Pods a workload wants. */
export const wanted = (object: JsonObject): number => numberAt(spec(object), 'replicas') ?? 0;
