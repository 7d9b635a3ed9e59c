import { parseApiVersion } from '../../kube/resources.ts';
import { findKindStruct } from '../../kube/schema/schema.ts';
import { canDecode, decodeStruct } from './decode-struct.ts';
import { ProtobufError } from './protobuf-error.ts';
import { readFields } from './wire-reader.ts';

export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

/** Each body begins with this, so that nobody takes it for something else: `k8s` and a zero. */
const MAGIC = Buffer.from('k8s\0');

/**
 * Decodes a body: the magic number, then an envelope of apiVersion, kind and the object's own bytes.
 * Returns the object as JSON text, kind and apiVersion first.
 *
 * @throws ProtobufError
 */
export function protobufToJson(body: Uint8Array): Uint8Array {
  if (!MAGIC.equals(body.subarray(0, MAGIC.length))) {
    throw new ProtobufError(
      'MALFORMED',
      'provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]',
    );
  }
  let apiVersion = '';
  let kind = '';
  let raw = new Uint8Array();
  for (const field of readFields(body.subarray(MAGIC.length))) {
    if (field.type !== 'bytes') continue;
    if (field.number === 1) {
      for (const part of readFields(field.value)) {
        if (part.type !== 'bytes') continue;
        if (part.number === 1) apiVersion = Buffer.from(part.value).toString();
        if (part.number === 2) kind = Buffer.from(part.value).toString();
      }
    } else if (field.number === 2) raw = new Uint8Array(field.value);
  }
  const { group, version } = parseApiVersion(apiVersion);
  const struct = findKindStruct(group, version, kind);
  if (struct === undefined) {
    throw new ProtobufError('UNKNOWN_KIND', `no kind "${kind}" is registered for version "${apiVersion}"`);
  }
  if (!canDecode(struct.name)) {
    throw new ProtobufError('UNKNOWN_KIND', `${kind} of "${apiVersion}" is not read as protobuf`);
  }
  return Buffer.from(JSON.stringify({ kind, apiVersion, ...decodeStruct(struct.name, raw) }));
}
