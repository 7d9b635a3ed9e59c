import { CodedError } from '../base/coded-error.ts';

/**
 * `BAD_JSON`: no JSON object. `BAD_FIELD`: a field is missing or of the wrong kind. `TOO_LARGE`: beyond a limit.
 * `WRONG_KIND`: the content is not what its media type says. `SCHEMA_1`: docker's oldest form. `NO_PLATFORM`: nothing in it
 * runs on the host.
 */
export type ManifestErrorCode =
  | 'BAD_JSON'
  | 'BAD_FIELD'
  | 'TOO_LARGE'
  | 'WRONG_KIND'
  | 'SCHEMA_1'
  | 'NO_PLATFORM';

/** Says why a manifest, an index or an image config cannot be used. */
export class ManifestError extends CodedError<ManifestErrorCode> {}
