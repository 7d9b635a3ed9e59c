/** Applies a strategic merge patch to a copy, with the merge keys of the kind's schema. Throws `PatchError`. */
export declare function applyStrategicMergePatch(
  target: unknown,
  patch: unknown,
  gvk: { group: string; version: string; kind: string },
): unknown;
