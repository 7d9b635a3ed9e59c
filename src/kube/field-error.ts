import { goQuote } from '../base/go-quote.ts';

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
  | 'FieldValueTypeInvalid'
  | 'InternalError';

/** One finding of validation: where, which kind, and the text that follows the field's path. */
export interface FieldError {
  readonly type: FieldErrorType;
  /** Path such as `spec.containers[0].image` or `data[.dockerconfigjson]`. */
  readonly field: string;
  /** Text without the path: `Required value`, `Invalid value: "x": must be …`. */
  readonly message: string;
}

/** Says that a field must be given. */
export function required(field: string, detail = ''): FieldError {
  return { type: 'FieldValueRequired', field, message: `Required value${after(detail)}` };
}

/** Says that a value does not fit; strings are quoted, objects printed as JSON. */
export function invalidValue(field: string, value: unknown, detail: string): FieldError {
  return {
    type: 'FieldValueInvalid',
    field,
    message: `Invalid value: ${printValue(value)}${after(detail)}`,
  };
}

/** Says what is wrong with a value without showing it. */
export function withoutValue(field: string, detail: string): FieldError {
  return { type: 'FieldValueInvalid', field, message: `Invalid value${after(detail)}` };
}

/** Says that a value is not one of a closed set; the set is printed in the given order. */
export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.length === 0 ? '' : `: supported values: ${supported.map(goQuote).join(', ')}`;
  return {
    type: 'FieldValueNotSupported',
    field,
    message: `Unsupported value: ${printValue(value)}${list}`,
  };
}

/** Says that a value appears twice where it may appear once. */
export function duplicateValue(field: string, value: unknown): FieldError {
  return { type: 'FieldValueDuplicate', field, message: `Duplicate value: ${printValue(value)}` };
}

/** Says that a field may not be set, or not be set to this. */
export function forbiddenField(field: string, detail: string): FieldError {
  return { type: 'FieldValueForbidden', field, message: `Forbidden${after(detail)}` };
}

/** Says that a text or payload has more than `max` bytes. */
export function tooLong(field: string, max: number): FieldError {
  return {
    type: 'FieldValueTooLong',
    field,
    message: `Too long: may not be more than ${max} byte${max === 1 ? '' : 's'}`,
  };
}

/** Says that a list has more than `max` items. */
export function tooMany(field: string, actual: number, max: number): FieldError {
  return {
    type: 'FieldValueTooMany',
    field,
    message: `Too many: ${actual}: must have at most ${max} item${max === 1 ? '' : 's'}`,
  };
}

/** Says that something named does not exist. */
export function valueNotFound(field: string, value: unknown): FieldError {
  return { type: 'FieldValueNotFound', field, message: `Not found: ${printValue(value)}` };
}

/** Prints a value as error texts show it: strings quoted, numbers and booleans bare, the rest as compact JSON. */
export function printValue(value: unknown): string {
  if (typeof value === 'string') return goQuote(value);
  if (value === undefined || value === null) return 'null';
  if (typeof value === 'object') return JSON.stringify(value);
  return `${value as number | boolean | bigint}`;
}

function after(detail: string): string {
  return detail === '' ? '' : `: ${detail}`;
}
