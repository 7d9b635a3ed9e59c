import { CodedError } from '../base/coded-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { rememberText } from './object-text.ts';

export type StoreErrorCode = 'ALREADY_EXISTS' | 'NOT_FOUND' | 'CONFLICT' | 'EXPIRED' | 'NEWER_VERSION';
export class StoreError extends CodedError<StoreErrorCode> {}

/** Names one stored object. `resource` is `pods` or `deployments.apps`; `namespace` is `''` at cluster scope. */
export interface ObjectKey {
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Stored {
  readonly key: ObjectKey;
  readonly revision: number;
  /** Never changed after it was read or written; writers build a new object. */
  readonly object: KubeObject;
}

/** An object as the database holds it; parsed when somebody looks inside. */
export class StoredRow implements Stored {
  readonly key: ObjectKey;
  readonly revision: number;
  /** JSON text, kind and apiVersion first. */
  readonly body: string;
  #object: KubeObject | undefined;

  constructor(key: ObjectKey, revision: number, body: string) {
    this.key = key;
    this.revision = revision;
    this.body = body;
  }

  get object(): KubeObject {
    if (this.#object === undefined) {
      this.#object = JSON.parse(this.body) as KubeObject;
      rememberText(this.#object, this.body);
    }
    return this.#object;
  }
}

export interface Change extends Stored {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** The state before the change; absent for `ADDED`, and when history no longer holds it. */
  readonly previous?: KubeObject;
}

export interface ListPosition {
  readonly namespace: string;
  readonly name: string;
}

export interface StoreListOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  /** The state as it was at this revision; absent: now. */
  readonly revision?: number;
  /** Only objects after this place in the order of namespace and name. */
  readonly after?: ListPosition;
  readonly limit?: number;
  /**
   * Texts of which each stands in the JSON of every object wanted: spares parsing most of what a selector leaves out.
   * Objects that hold all of them may still not be wanted.
   */
  readonly containing?: readonly string[];
}

export interface StoreList {
  readonly items: StoredRow[];
  readonly revision: number;
  /** Objects behind the last one returned; 0 when nothing was left out. */
  readonly remaining: number;
}

/** Prints a key for messages: `pods "default/web"`. */
export function describeKey(key: ObjectKey): string {
  return `${key.resource} "${key.namespace === '' ? '' : `${key.namespace}/`}${key.name}"`;
}
