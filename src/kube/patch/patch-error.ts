import { CodedError } from '../../base/coded-error.ts';

/**
 * A patch that cannot be applied.
 *
 * - `UNPROCESSABLE`: a JSON patch that does not fit the object
 * - `TOO_MANY_OPERATIONS`: a JSON patch longer than the API takes
 * - `BAD_PATCH_FORMAT`: a directive of the wrong form
 * - `BAD_STRATEGIC_PATCH`: directives or merge keys that make no sense; the message is the API's
 */
export class PatchError extends CodedError<
  'UNPROCESSABLE' | 'TOO_MANY_OPERATIONS' | 'BAD_STRATEGIC_PATCH' | 'BAD_PATCH_FORMAT'
> {}
