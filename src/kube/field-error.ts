/** The kinds of field error, named as in `details.causes[].reason` of a Status. */
export type FieldErrorType =
  | 'FieldValueNotFound'
  | 'FieldValueRequired'
  | 'FieldValueDuplicate'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'InternalError'
  | 'FieldValueTypeInvalid';

/** One finding of validation: where, which kind, and the text that follows the field's path. */
export interface FieldError {
  readonly type: FieldErrorType;
  /** Path such as `spec.containers[0].image` or `data[.dockerconfigjson]`. */
  readonly field: string;
  /** Text without the path: `Required value`, `Invalid value: "x": must be …`. */
  readonly message: string;
}
