import { messageOf } from '../base/coded-error.ts';
import { isJsonObject, type Complain, type JsonObject } from './_json-reader.ts';
import { ManifestError } from './manifest-error.ts';

export function complainAbout(what: string): Complain {
  return (where, expected) =>
    new ManifestError('BAD_FIELD', `Cannot read ${what}: ${where} is not ${expected}`);
}

/** Decodes a JSON object of at most `limit` bytes. */
export function parseJsonDocument(body: string | Uint8Array, limit: number, what: string): JsonObject {
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
  if (bytes > limit) {
    throw new ManifestError('TOO_LARGE', `Cannot read ${what}: ${bytes} bytes, at most ${limit} are read`);
  }
  let value: unknown;
  try {
    value = JSON.parse(
      typeof body === 'string' ? body : new TextDecoder('utf-8', { fatal: true }).decode(body),
    );
  } catch (error) {
    throw new ManifestError('BAD_JSON', `Cannot read ${what}: ${messageOf(error)}`, { cause: error });
  }
  if (!isJsonObject(value)) throw new ManifestError('BAD_JSON', `Cannot read ${what}: not a JSON object`);
  return value;
}
