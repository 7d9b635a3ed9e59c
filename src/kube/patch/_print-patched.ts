import { isObject, setOwn } from '../json/own-property.ts';
import type { PatchMediaType } from './patch-media-type.ts';
import { goPrint } from './_go-print.ts';

/**
 * Prints a patched object as errors show it. The API's patch library sorts the keys of each object that the patch went
 * through and leaves the others in their order; of a strategic patch the patch itself is shown.
 */
export function printPatched(patched: unknown, patch: unknown, mediaType: PatchMediaType): string {
  switch (mediaType) {
    case 'application/strategic-merge-patch+json':
      return goPrint(patch);
    case 'application/merge-patch+json':
      return JSON.stringify(sortAlong(patched, patch));
    case 'application/json-patch+json': {
      const touched: Record<string, unknown> = {};
      for (const operation of Array.isArray(patch) ? (patch as unknown[]) : []) {
        if (!isObject(operation)) continue;
        for (const path of [operation['path'], operation['from']]) {
          if (typeof path === 'string') markPath(touched, path);
        }
      }
      return JSON.stringify(sortAlong(patched, touched));
    }
    default:
      return mediaType satisfies never;
  }
}

/** Sorts the keys of a value and of what lies below the keys that `along` has too. */
function sortAlong(value: unknown, along: unknown): unknown {
  if (!isObject(along)) return value;
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) =>
      Object.hasOwn(along, String(index)) ? sortAlong(item, along[String(index)]) : item,
    );
  }
  if (!isObject(value)) return value;
  const sorted: Record<string, unknown> = {};
  for (const key of Object.keys(value).toSorted()) {
    setOwn(sorted, key, Object.hasOwn(along, key) ? sortAlong(value[key], along[key]) : value[key]);
  }
  return sorted;
}

/** Notes every container on the way to what a pointer names. */
function markPath(touched: Record<string, unknown>, path: string): void {
  let at = touched;
  for (const step of path.split('/').slice(1, -1)) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    const below = Object.hasOwn(at, key) ? at[key] : undefined;
    if (isObject(below)) at = below;
    else {
      const made: Record<string, unknown> = {};
      setOwn(at, key, made);
      at = made;
    }
  }
}
