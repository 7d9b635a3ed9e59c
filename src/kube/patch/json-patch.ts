/** Applies RFC 6902 operations to a copy. Throws `PatchError`. */
export declare function applyJsonPatch(document: unknown, patch: unknown): unknown;
