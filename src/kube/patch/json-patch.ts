import { isDeepStrictEqual } from 'node:util';

import { isObject, setOwn } from '../json/own-property.ts';
import { PatchError } from './patch-error.ts';

/** The API's own bound on operations in one patch. */
export const maxJsonPatchOperations = 10_000;

/** Copying may not multiply a document beyond this many bytes of JSON: each copy can double it. */
const MAX_COPIED_BYTES = 3 * 1024 * 1024;

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from: string | undefined;
  readonly value: unknown;
}

/**
 * Applies RFC 6902 operations to a copy, as the API's library does: `replace` of a missing key adds it, negative
 * indices count from the end.
 *
 * @throws PatchError
 */
export function applyJsonPatch(document: unknown, patch: readonly unknown[]): unknown {
  if (patch.length > maxJsonPatchOperations) {
    throw new PatchError(
      'TOO_MANY_OPERATIONS',
      `The allowed maximum operations in a JSON patch is ${maxJsonPatchOperations}, got ${patch.length}`,
    );
  }
  const root: Record<string, unknown> = { '': structuredClone(document) };
  let copied = 0;
  for (const entry of patch) {
    const operation = readOperation(entry);
    if (operation.op === 'copy') copied += JSON.stringify(find(root, operation.from ?? '') ?? null).length;
    if (copied > MAX_COPIED_BYTES) throw misfit('copies exceed the limit');
    run(root, operation);
  }
  return root[''];
}

/** An operation without a value has null for one. */
function readOperation(entry: unknown): Operation {
  if (!isObject(entry)) throw misfit('operation is not an object');
  const { op, path, from } = entry;
  if (typeof op !== 'string' || typeof path !== 'string') throw misfit('operation lacks op or path');
  return {
    op,
    path,
    from: typeof from === 'string' ? from : undefined,
    value: Object.hasOwn(entry, 'value') ? entry['value'] : null,
  };
}

function run(root: Record<string, unknown>, operation: Operation): void {
  const { op, path, from, value } = operation;
  switch (op) {
    case 'add':
      add(root, path, structuredClone(value));
      return;
    case 'replace':
      replace(root, path, structuredClone(value));
      return;
    case 'remove':
      remove(root, path);
      return;
    case 'move': {
      if (from === undefined) throw misfit('move lacks from');
      if (path !== from && path.startsWith(`${from}/`)) throw misfit('move into its own child');
      const moved = find(root, from);
      remove(root, from);
      add(root, path, moved);
      return;
    }
    case 'copy':
      if (from === undefined) throw misfit('copy lacks from');
      add(root, path, structuredClone(find(root, from)));
      return;
    case 'test':
      if (!isDeepStrictEqual(findOptional(root, path), value)) throw misfit('test failed');
      return;
    default:
      throw misfit(`unknown operation ${op}`);
  }
}

type Container = Record<string, unknown> | unknown[];

/** Finds the container that holds the last step of a path; the whole document hangs under the empty key. */
function locate(root: Record<string, unknown>, path: string): { parent: Container; key: string } {
  if (path === '') return { parent: root, key: '' };
  if (!path.startsWith('/')) throw misfit('path does not begin with a slash');
  const steps = path
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const key = steps.pop() ?? '';
  let parent: unknown = root[''];
  for (const step of steps) parent = read(parent, step);
  if (!isObject(parent) && !Array.isArray(parent)) throw misfit('path has no parent');
  return { parent, key };
}

function read(parent: unknown, key: string): unknown {
  if (Array.isArray(parent)) {
    const index = indexIn(parent, key);
    if (index >= parent.length) throw misfit('index out of range');
    return parent[index];
  }
  if (!isObject(parent) || !Object.hasOwn(parent, key)) throw misfit('path does not exist');
  return parent[key];
}

function find(root: Record<string, unknown>, path: string): unknown {
  const { parent, key } = locate(root, path);
  return read(parent, key);
}

/** A missing key tests equal to null. */
function findOptional(root: Record<string, unknown>, path: string): unknown {
  const { parent, key } = locate(root, path);
  if (!Array.isArray(parent) && !Object.hasOwn(parent, key)) return null;
  return read(parent, key);
}

function add(root: Record<string, unknown>, path: string, value: unknown): void {
  const { parent, key } = locate(root, path);
  if (!Array.isArray(parent)) {
    setOwn(parent, key, value);
    return;
  }
  if (key === '-') {
    parent.push(value);
    return;
  }
  const size = parent.length + 1;
  const index = parseIndex(key);
  const place = index < 0 ? index + size : index;
  if (place < 0 || place >= size) throw misfit('index out of range');
  parent.splice(place, 0, value);
}

function replace(root: Record<string, unknown>, path: string, value: unknown): void {
  const { parent, key } = locate(root, path);
  if (!Array.isArray(parent)) setOwn(parent, key, value);
  else {
    const index = indexIn(parent, key);
    if (index >= parent.length) throw misfit('index out of range');
    parent[index] = value;
  }
}

function remove(root: Record<string, unknown>, path: string): void {
  const { parent, key } = locate(root, path);
  read(parent, key);
  if (Array.isArray(parent)) parent.splice(indexIn(parent, key), 1);
  else delete parent[key];
}

function indexIn(array: readonly unknown[], key: string): number {
  const index = parseIndex(key);
  const place = index < 0 ? index + array.length : index;
  if (place < 0) throw misfit('index out of range');
  return place;
}

function parseIndex(key: string): number {
  if (!/^-?\d{1,9}$/.test(key)) throw misfit('not an index');
  return Number(key);
}

function misfit(why: string): PatchError {
  return new PatchError('UNPROCESSABLE', `Cannot apply JSON patch: ${why}`);
}
