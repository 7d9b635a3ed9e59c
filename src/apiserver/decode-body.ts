import { decodeObject, type Decoded, type FieldValidation } from '../kube/decode/decode-object.ts';
import type { CustomKind } from '../kube/custom/custom-kind.ts';
import { badRequest, unsupportedMediaType } from '../kube/status.ts';
import type { RequestBody } from './api-call.ts';
import { MEDIA_TYPES } from './negotiation.ts';
import { PROTOBUF, protobufToJson } from './protobuf/decode-envelope.ts';
import { ProtobufError } from './protobuf/protobuf-error.ts';

/**
 * Decodes a request body of any encoding that clients use: JSON (also when none is named), YAML, protobuf.
 *
 * @throws StatusError 400 with the API's texts, 415 for other encodings
 */
export function decodeBody<T>(
  body: RequestBody,
  expect: {
    readonly group: string;
    readonly version: string;
    readonly kind: string;
    readonly custom?: CustomKind;
    readonly isOptions?: true;
  },
  fieldValidation: FieldValidation,
): Decoded<T> {
  const custom = {
    ...(expect.custom === undefined ? {} : { custom: expect.custom }),
    ...(expect.isOptions === undefined ? {} : { isOptions: expect.isOptions }),
  };
  switch (body.mediaType) {
    case '':
    case 'application/json':
      return decodeObject<T>(body.bytes, {
        mediaType: 'application/json',
        expect,
        fieldValidation,
        ...custom,
      });
    case 'application/yaml':
      return decodeObject<T>(body.bytes, {
        mediaType: 'application/yaml',
        expect,
        fieldValidation,
        ...custom,
      });
    case PROTOBUF:
      // A typed encoding cannot carry unknown fields, so there is nothing to validate in that respect.
      return decodeObject<T>(fromProtobuf(body.bytes, expect.kind), {
        mediaType: 'application/json',
        expect,
        fieldValidation: 'Ignore',
      });
    default:
      throw unsupportedMediaType([...MEDIA_TYPES, PROTOBUF]);
  }
}

function fromProtobuf(bytes: Uint8Array, kind: string): Uint8Array {
  try {
    return protobufToJson(bytes);
  } catch (error) {
    if (!(error instanceof ProtobufError || error instanceof SyntaxError)) throw error;
    throw badRequest(`the object provided is unrecognized (must be of type ${kind}): ${error.message}`);
  }
}
