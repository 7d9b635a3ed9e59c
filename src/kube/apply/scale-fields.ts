import { FieldSet, type Path } from './field-set.ts';
import { readManaged, writeManaged, type Managed, type ManagedFieldsEntry } from './managed-fields.ts';

const SCALE_VERSION = 'autoscaling/v1';
/** Where a Scale has what it scales. */
const REPLICAS: Path = ['f:spec', 'f:replicas'];

/** Returns who owns a Scale: those who own the number of replicas of the object behind it, as owners of the Scale. */
export function scaleFields(entries: readonly ManagedFieldsEntry[], replicas: Path): ManagedFieldsEntry[] {
  const owners = readManaged(entries).filter(({ set }) => set.has(replicas));
  return writeManaged(
    owners.map(({ entry }) => ({ entry: { ...entry, apiVersion: SCALE_VERSION }, set: setOf(REPLICAS) })),
  );
}

/**
 * Returns who owns an object after its Scale was applied: who no longer owns the Scale loses the number of replicas,
 * who does owns it as a writer of the object's own version.
 */
export function fieldsBehindScale(
  entries: readonly ManagedFieldsEntry[],
  scale: readonly ManagedFieldsEntry[],
  replicas: Path,
  apiVersion: string,
): ManagedFieldsEntry[] {
  const owners = readManaged(scale).filter(({ set }) => set.has(REPLICAS));
  const isOwner = (entry: ManagedFieldsEntry): boolean => owners.some((owner) => isSame(owner.entry, entry));
  const before = readManaged(entries);
  const kept = before.map(({ entry, set }): Managed => {
    const loses = set.has(replicas) && !isOwner(entry);
    return { entry, set: loses ? set.difference(setOf(replicas)) : set };
  });
  const added = owners
    .filter((owner) => !before.some(({ entry, set }) => set.has(replicas) && isSame(owner.entry, entry)))
    .map(({ entry }): Managed => ({ entry: { ...entry, apiVersion }, set: setOf(replicas) }));
  return writeManaged([...kept, ...added]);
}

function isSame(a: ManagedFieldsEntry, b: ManagedFieldsEntry): boolean {
  return (
    a.manager === b.manager && a.operation === b.operation && (a.subresource ?? '') === (b.subresource ?? '')
  );
}

function setOf(path: Path): FieldSet {
  const set = new FieldSet();
  set.add(path);
  return set;
}
