/** Applies an RFC 7386 merge patch to a copy. */
export declare function applyMergePatch(target: unknown, patch: unknown): unknown;
