import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { loadSync, type AnyDefinition } from '@grpc/proto-loader';
import { CriError } from './cri-error.ts';

/** The largest message either side sends or takes (rule 12.9). */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export const MESSAGE_LIMITS = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
} as const;

/** The version of today, and the one before it, whose messages have the same numbers. */
export type CriVersion = 'v1' | 'v1alpha2';

let loaded: Readonly<Record<string, AnyDefinition>> | undefined;

/**
 * Reads the definition of a service. Numbers of 64 bits are texts, enumerations their names, absent messages null.
 *
 * @throws CriError `BAD_ANSWER` when there is no such service
 */
export function loadService(
  name: 'ImageService' | 'RuntimeService',
  version: CriVersion = 'v1',
): ServiceDefinition {
  loaded ??= loadSync(fileURLToPath(new URL('cri-v1.proto', import.meta.url)), {
    longs: String,
    enums: String,
    defaults: true,
  });
  const found = loaded[`runtime.v1.${name}`];
  if (found === undefined || 'format' in found)
    throw new CriError('BAD_ANSWER', `Cannot speak CRI: there is no service "${name}"`);
  const methods = Object.entries(found).map(
    ([method, definition]): [string, MethodDefinition<object, object>] => [
      method,
      { ...definition, path: definition.path.replace('/runtime.v1.', `/runtime.${version}.`) },
    ],
  );
  return Object.fromEntries(methods);
}
