import type { KubeObject } from '../object.ts';
import type { ResourceInfo } from '../resources.ts';

/** What to do with unknown and duplicate fields: the `fieldValidation` parameter, `Warn` when absent. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

export interface Decoded<T = KubeObject> {
  readonly object: T;
  /** Texts for `Warning` headers. */
  readonly warnings: readonly string[];
}

export interface DecodeOptions {
  readonly mediaType: 'application/json' | 'application/yaml';
  /** The kind that the path speaks: a `ResourceInfo`, or a subresource's kind (`Binding`, `TokenRequest`, `DeleteOptions`). */
  readonly expect: { readonly group: string; readonly version: string; readonly kind: string };
  readonly fieldValidation: FieldValidation;
}

/**
 * Decodes one body into the expected kind: syntax, apiVersion and kind, field names and types, base64 of secrets.
 * Unknown fields are dropped; quantities and times are normalised; nulls are dropped.
 *
 * @throws StatusError 400 with the API's texts
 */
export declare function decodeObject<T = KubeObject>(body: Uint8Array, options: DecodeOptions): Decoded<T>;
/** The same checks for a value that was parsed already (the outcome of a patch). */
export declare function convertObject<T = KubeObject>(
  value: unknown,
  options: Omit<DecodeOptions, 'mediaType'>,
): Decoded<T>;
/** Reads a file of manifests: JSON or YAML, many documents, `List` kinds flattened; for the cli. Throws `ManifestError`. */
export declare function parseManifests(text: string): KubeObject[];
export type { ResourceInfo };
