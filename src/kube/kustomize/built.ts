import type { KubeObject } from '../object.ts';

/** An object on its way, with every name that it ever had: others may still call it by an old one. */
export interface Built {
  readonly object: KubeObject;
  readonly names: readonly string[];
  /** Its name gets a suffix that follows from its content, once all layers are built. */
  readonly hashed: boolean;
}

/** Begins the way of an object. */
export function fresh(object: KubeObject, hashed = false): Built {
  return { object, names: [object.metadata.name], hashed };
}
