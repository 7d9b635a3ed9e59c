import {
  structOf,
  type FieldSchema,
  type Scalar,
  type StructSchema,
  type TypeSchema,
} from '../schema/schema.ts';

/** Names a JSON value as Go's decoder does; numbers with their text where a whole number was wanted. */
export function jsonKind(value: unknown, wanted?: Scalar): string {
  if (Array.isArray(value)) return 'array';
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return wanted === 'i32' || wanted === 'i64' ? `number ${value}` : 'number';
  return typeof value === 'string' ? 'string' : 'object';
}

/** Says why a value does not fit, as the converter of patched objects does. */
export function restoreText(
  value: unknown,
  type: TypeSchema,
  field: FieldSchema,
  struct: StructSchema,
): string {
  const from = goKind(value);
  if (type.is === 'struct') return `cannot restore struct from: ${from}`;
  if (type.is === 'list') return `cannot restore slice from ${from}`;
  if (type.is === 'map') return `cannot restore map from ${from}`;
  return `cannot convert ${from} to ${goType(type, field, struct)}`;
}

/** Names what a decoded JSON value is in Go. */
function goKind(value: unknown): string {
  if (Array.isArray(value)) return 'slice';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'string' ? 'string' : 'map';
}

/** String fields whose Go type has a name of its own, which decoding errors print. */
const NAMED_STRINGS: Readonly<Record<string, string>> = {
  imagePullPolicy: 'v1.PullPolicy',
  pullPolicy: 'v1.PullPolicy',
  restartPolicy: 'v1.RestartPolicy',
  dnsPolicy: 'v1.DNSPolicy',
  terminationMessagePolicy: 'v1.TerminationMessagePolicy',
  protocol: 'v1.Protocol',
  uid: 'types.UID',
  preemptionPolicy: 'v1.PreemptionPolicy',
  concurrencyPolicy: 'v1.ConcurrencyPolicy',
  podManagementPolicy: 'v1.PodManagementPolicyType',
  completionMode: 'v1.CompletionMode',
  phase: 'v1.Phase',
};

const GO_SCALARS: Readonly<Record<Scalar, string>> = {
  s: 'string',
  b: 'bool',
  i32: 'int32',
  i64: 'int64',
  f64: 'float64',
  bytes: '[]uint8',
  time: 'v1.Time',
  microtime: 'v1.MicroTime',
  quantity: 'resource.Quantity',
  intstr: 'intstr.IntOrString',
  raw: 'runtime.RawExtension',
  fields: 'v1.FieldsV1',
};

/** Names a field's type as Go does: `[]v1.Container`, `map[string]string`. */
export function goType(type: TypeSchema, field: FieldSchema, struct: StructSchema): string {
  switch (type.is) {
    case 'list':
      return `[]${goType(type.items, field, struct)}`;
    case 'map':
      if (type.values.is === 'scalar' && type.values.scalar === 'quantity') return 'v1.ResourceList';
      return `map[string]${goType(type.values, field, struct)}`;
    case 'struct':
      return structOf(type.name).goType;
    case 'scalar':
      if (type.scalar !== 's') return GO_SCALARS[type.scalar];
      if (field.name === 'type' && struct.goName === 'Secret') return 'v1.SecretType';
      if (field.name === 'phase') return `v1.${struct.goName.replace('Status', 'Phase')}`;
      return NAMED_STRINGS[field.name] ?? 'string';
  }
}
