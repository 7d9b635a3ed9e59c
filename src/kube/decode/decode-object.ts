import { messageOf } from '../../base/coded-error.ts';
import { goQuote } from '../../base/go-quote.ts';
import { convertCustom } from '../custom/convert-custom.ts';
import type { CustomKind } from '../custom/custom-kind.ts';
import { isObject } from '../json/own-property.ts';
import { JsonError, parseJson } from '../json/parse-json.ts';
import type { KubeObject } from '../object.ts';
import { formatApiVersion, parseApiVersion } from '../resources.ts';
import { QuantityError } from '../quantity.ts';
import { findKindStruct, type StructSchema } from '../schema/schema.ts';
import { badRequest, plainError, type StatusError } from '../status.ts';
import { Base64Error } from './base64.ts';
import { ConvertError } from './convert-error.ts';
import { convertStruct } from './convert-value.ts';
import { parseYaml, YamlError } from './parse-yaml.ts';

/** What to do with unknown and duplicate fields: the `fieldValidation` parameter, `Warn` when absent. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

export interface Decoded<T = KubeObject> {
  readonly object: T;
  /** Texts for `Warning` headers. */
  readonly warnings: readonly string[];
}

/** A kind with its group and version. Every `ResourceInfo` is one. */
export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export interface ConvertOptions {
  /** The kind that the path speaks: a `ResourceInfo`, or a subresource's kind (`Binding`, `TokenRequest`, `DeleteOptions`). */
  readonly expect: GroupVersionKind;
  readonly fieldValidation: FieldValidation;
  /** The schema to go by when the expected kind is not built in. */
  readonly custom?: CustomKind;
  /**
   * The body holds options: any group and version of the kind are good, and what is wrong is told in the decoder's
   * own words as a failure without a reason.
   */
  readonly isOptions?: true;
}

export interface DecodeOptions extends ConvertOptions {
  readonly mediaType: 'application/json' | 'application/yaml';
}

/** As much of an unreadable body as an error shows. */
const SUMMARY_BYTES = 30;

/**
 * Decodes one body into the expected kind: syntax, apiVersion and kind, field names and types, base64 of secrets.
 * Unknown fields are dropped; quantities, times and base64 are canonical; fields appear as the API prints them.
 *
 * @throws StatusError 400 with the API's texts; 500 for options
 */
export function decodeObject<T = KubeObject>(body: Uint8Array, options: DecodeOptions): Decoded<T> {
  const { value, duplicates, strictPrefix } = parseBody(body, options);
  return convert<T>(value, options, duplicates, strictPrefix);
}

interface ParsedBody {
  readonly value: unknown;
  readonly duplicates: readonly string[];
  /** Text before the first finding of a strict error: YAML parsers say what they are. */
  readonly strictPrefix: string;
}

function parseBody(body: Uint8Array, options: DecodeOptions): ParsedBody {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  try {
    if (options.mediaType === 'application/yaml') {
      const { value, duplicates } = parseYaml(text);
      if (value !== null && !isObject(value)) throw unrecognized(notAnObject(value), options, body);
      return { value: value ?? {}, duplicates, strictPrefix: 'yaml: unmarshal errors:\n  ' };
    }
    const duplicates: string[] = [];
    const value = parseJson(text, {
      onDuplicate: (path) => duplicates.push(`duplicate field ${goQuote(path)}`),
    });
    // To Go, null in place of an object says nothing about it.
    if (value !== null && !isObject(value)) throw unrecognized(notAnObject(value), options, body);
    return { value: value ?? {}, duplicates, strictPrefix: '' };
  } catch (error) {
    if (error instanceof JsonError) {
      throw unrecognized(
        `couldn't get version/kind; json parse error: ${error.message}`,
        options,
        body,
        error,
      );
    }
    if (error instanceof YamlError) throw unrecognized(error.message, options, body, error);
    throw error;
  }
}

function notAnObject(value: unknown): string {
  const kind = Array.isArray(value) ? 'array' : goJsonKind(value);
  return (
    `couldn't get version/kind; json parse error: json: cannot unmarshal ${kind} into Go value of type ` +
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
  );
}

function goJsonKind(value: unknown): string {
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function unrecognized(why: string, options: ConvertOptions, body: Uint8Array, cause?: unknown): StatusError {
  if (options.isOptions) return plainError(why, { cause });
  return badRequest(
    `the object provided is unrecognized (must be of type ${options.expect.kind}): ${why} (${summarize(body)})`,
    { cause },
  );
}

function summarize(body: Uint8Array): string {
  if (body.length === 0) return '<empty>';
  const start = Buffer.from(body.subarray(0, SUMMARY_BYTES));
  const text = start[0] === 0x7b ? start.toString('utf8') : start.toString('hex');
  return body.length > SUMMARY_BYTES ? `${text} ...` : text;
}

function convert<T>(
  value: unknown,
  { expect, fieldValidation, custom, isOptions }: ConvertOptions,
  duplicates: readonly string[],
  strictPrefix: string,
): Decoded<T> {
  if (!isObject(value)) throw badRequest(`expected an object of type ${expect.kind}`);
  const given = kindOf(value, expect);
  if (isOptions && given.kind !== expect.kind) throw plainError(notRegistered(given, OPTIONS_SCHEME));
  const actual = isOptions ? expect : given;
  const cannot = (why: string, cause?: unknown): StatusError =>
    isOptions
      ? plainError(why, { cause })
      : badRequest(
          `${actual.kind} in version ${goQuote(actual.version)} cannot be handled as a ${expect.kind}: ${why}`,
          { cause },
        );
  if (custom !== undefined) {
    return convertToCustom<T>(value, { expect, actual, custom, fieldValidation }, duplicates, strictPrefix);
  }
  const struct = findKindStruct(actual.group, actual.version, actual.kind);
  if (struct === undefined || (struct.kinds.length === 0 && actual.kind !== expect.kind)) {
    throw cannot(notRegistered(actual));
  }
  const unknown: string[] = [];
  let object: Record<string, unknown>;
  try {
    object = convertStruct(value, struct, { unknown });
  } catch (error) {
    if (error instanceof ConvertError || error instanceof QuantityError || error instanceof Base64Error) {
      throw cannot(messageOf(error), error);
    }
    throw error;
  }
  const unknownTexts = unknown.map((path) => `unknown field ${goQuote(path)}`);
  const findings = [...duplicates, ...unknownTexts];
  if (findings.length > 0 && fieldValidation === 'Strict') {
    const prefix = duplicates.length > 0 ? strictPrefix : '';
    throw cannot(`strict decoding error: ${prefix}${findings.join(', ')}`);
  }
  if (actual.kind !== expect.kind || actual.group !== expect.group) {
    throw cannot(unknownConversion(struct, expect));
  }
  // Evictions are taken in every version in which they ever were.
  if (actual.version !== expect.version && expect.kind !== 'Eviction') throw otherVersion(actual, expect);
  const { apiVersion: _apiVersion, kind: _kind, ...rest } = object;
  const typed = {
    kind: expect.kind,
    apiVersion: formatApiVersion(expect.group, expect.version),
    ...rest,
  };
  return { object: typed as T, warnings: fieldValidation === 'Warn' ? findings : [] };
}

const API_SCHEME = 'pkg/api/legacyscheme/scheme.go:30';
const OPTIONS_SCHEME = 'k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:30';

/** Says that a kind is not known in a version, with the place that upstream's text names. */
export function notRegistered({ group, version, kind }: GroupVersionKind, scheme = API_SCHEME): string {
  return (
    `no kind ${goQuote(kind)} is registered for version ${goQuote(formatApiVersion(group, version))} ` +
    `in scheme ${goQuote(scheme)}`
  );
}

function otherVersion(actual: GroupVersionKind, expect: GroupVersionKind): StatusError {
  const given = formatApiVersion(actual.group, actual.version);
  const wanted = formatApiVersion(expect.group, expect.version);
  return badRequest(
    `the API version in the data (${given}) does not match the expected API version (${wanted})`,
  );
}

/** An object of a custom kind must say what it is; it is decoded by the schema of its definition. */
function convertToCustom<T>(
  value: Readonly<Record<string, unknown>>,
  options: {
    expect: GroupVersionKind;
    actual: GroupVersionKind;
    custom: CustomKind;
    fieldValidation: FieldValidation;
  },
  duplicates: readonly string[],
  strictPrefix: string,
): Decoded<T> {
  const { expect, actual, custom, fieldValidation } = options;
  const wanted = formatApiVersion(expect.group, expect.version);
  if (formatApiVersion(actual.group, actual.version) !== wanted) throw otherVersion(actual, expect);
  if (actual.kind !== expect.kind) {
    throw badRequest(`unable to decode: expected kind ${expect.kind}, but got ${actual.kind}`);
  }
  const cannot = (why: string, cause?: unknown): StatusError =>
    badRequest(
      `${expect.kind} in version ${goQuote(expect.version)} cannot be handled as a ${expect.kind}: ${why}`,
      { cause },
    );
  try {
    const { object, findings } = convertCustom(value, custom);
    const all = [...duplicates, ...findings];
    if (all.length > 0 && fieldValidation === 'Strict') {
      const prefix = duplicates.length > 0 ? strictPrefix : '';
      throw cannot(`strict decoding error: ${prefix}${all.join(', ')}`);
    }
    const { apiVersion: _apiVersion, kind: _kind, ...rest } = object;
    const typed = { apiVersion: wanted, kind: expect.kind, ...rest };
    return { object: typed as T, warnings: fieldValidation === 'Warn' ? all : [] };
  } catch (error) {
    if (error instanceof ConvertError) throw cannot(messageOf(error), error);
    throw error;
  }
}

/** A body without a kind is taken for what the path speaks. */
function kindOf(value: Readonly<Record<string, unknown>>, expect: GroupVersionKind): GroupVersionKind {
  const apiVersion = typeof value['apiVersion'] === 'string' ? value['apiVersion'] : '';
  const kind = typeof value['kind'] === 'string' && value['kind'] !== '' ? value['kind'] : expect.kind;
  if (apiVersion === '') return { group: expect.group, version: expect.version, kind };
  return { ...parseApiVersion(apiVersion), kind };
}

/** Says that an object of one kind cannot stand for one of another. */
export function unknownConversion(from: StructSchema, to: { group: string; kind: string }): string {
  return `converting (${from.goType}) to (${internalPackage(to.group)}.${to.kind}): unknown conversion`;
}

/** The name of the package that holds a group's internal types, as errors about types print it. */
export function internalPackage(group: string): string {
  // Both groups of Events share one type.
  return group === '' || group === 'events.k8s.io' ? 'core' : (group.split('.')[0] ?? group);
}
