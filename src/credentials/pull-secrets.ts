import { messageOf } from '../base/coded-error.ts';
import type { TraceStep } from '../base/trace.ts';
import { CredentialError } from './credential-error.ts';
import { parseDockerConfigJson, parseDockercfg } from './docker-config.ts';
import { decodeGoBase64 } from './go-base64.ts';
import { keyringEntries, type KeyringEntry } from './keyring.ts';

/** The part of a Secret that pulling reads; a `Secret` of the API fits. Values are base64. */
export interface PullSecret {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid?: string };
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

const FORMATS = [
  { type: 'kubernetes.io/dockerconfigjson', key: '.dockerconfigjson', parse: parseDockerConfigJson },
  { type: 'kubernetes.io/dockercfg', key: '.dockercfg', parse: parseDockercfg },
] as const;

/** A usable secret whose content cannot be read: the whole request fails, with this message as waiting reason (4.12, 6.19). */
export class MalformedSecretError extends CredentialError {
  readonly namespace: string;
  readonly secret: string;

  constructor(secret: PullSecret, cause: unknown) {
    super('MALFORMED_SECRET', messageOf(cause), { cause });
    this.namespace = secret.metadata.namespace ?? '';
    this.secret = secret.metadata.name;
  }
}

/** Entries of secrets seen before: API objects are replaced, not changed, and `value` guards against those that were. */
const parsed = new WeakMap<
  PullSecret,
  { readonly value: string; readonly entries: readonly KeyringEntry[] }
>();

/**
 * Reads the entries of one pull secret; undefined when it is none: another type, or its key missing or empty (rule 6.19).
 *
 * @throws MalformedSecretError
 */
export function secretEntries(secret: PullSecret): readonly KeyringEntry[] | undefined {
  const format = FORMATS.find((f) => f.type === secret.type);
  const data = secret.data;
  if (format === undefined || data === undefined || !Object.hasOwn(data, format.key)) return undefined;
  const value = data[format.key];
  if (value === undefined || value === '') return undefined;
  const known = parsed.get(secret);
  if (known !== undefined && known.value === value) return known.entries;
  const { name, namespace = '', uid = '' } = secret.metadata;
  // A manifest from a file was not checked by an API server.
  if (typeof value !== 'string') {
    throw new MalformedSecretError(secret, 'Secret.data holds a value that is no base64 text');
  }
  try {
    const bytes = decodeGoBase64(value);
    if (bytes.length === 0) return undefined;
    const entries = keyringEntries(format.parse(bytes), { kind: 'secret', namespace, name, uid });
    parsed.set(secret, { value, entries });
    return entries;
  } catch (error) {
    throw new MalformedSecretError(secret, error);
  }
}

/** Says why a secret gives no entries, for traces; undefined for a usable one. */
export function whyUnusable(secret: PullSecret): string | undefined {
  const format = FORMATS.find((f) => f.type === secret.type);
  if (format === undefined) return `type ${secret.type ?? 'Opaque'} is not for pulling: ignored`;
  const value =
    secret.data !== undefined && Object.hasOwn(secret.data, format.key) ? secret.data[format.key] : undefined;
  if (value === undefined) return `key ${format.key} is missing: ignored`;
  return value === '' ? `key ${format.key} is empty: ignored` : undefined;
}

/** What reading a Pod's pull secrets gave. */
export interface RetrievedPullSecrets<S extends PullSecret = PullSecret> {
  /** In the order of `imagePullSecrets`. */
  readonly secrets: readonly S[];
  /** Names that could not be read. */
  readonly missing: readonly string[];
  /** The Pod's warning for them (4.1); undefined when none is missing. */
  readonly warning:
    | { readonly reason: 'FailedToRetrieveImagePullSecret'; readonly message: string }
    | undefined;
  readonly trace: readonly TraceStep[];
}

/**
 * Reads the secrets that a Pod names, from its own namespace; empty names are skipped, failures reported and skipped (6.20).
 *
 * @param get returns the secret; throws or returns undefined when it cannot be had
 */
export async function retrievePullSecrets<S extends PullSecret>(
  namespace: string,
  imagePullSecrets: readonly { readonly name?: string }[],
  get: (namespace: string, name: string) => Promise<S | undefined>,
): Promise<RetrievedPullSecrets<S>> {
  const secrets: S[] = [];
  const missing: string[] = [];
  const trace: TraceStep[] = [];
  for (const { name = '' } of imagePullSecrets) {
    const source = `Secret ${namespace}/${name}`;
    if (name === '') {
      trace.push({ rule: '6.20', says: 'a pull secret without name is skipped' });
      continue;
    }
    try {
      const secret = await get(namespace, name);
      if (secret !== undefined) {
        secrets.push(secret);
        continue;
      }
      trace.push({ rule: '6.20', says: 'cannot be read: not found', source });
    } catch (error) {
      trace.push({ rule: '6.20', says: `cannot be read: ${messageOf(error)}`, source });
    }
    missing.push(name);
  }
  const warning =
    missing.length === 0
      ? undefined
      : ({
          reason: 'FailedToRetrieveImagePullSecret',
          message: `Unable to retrieve some image pull secrets (${missing.join(', ')}); attempting to pull the image may not succeed.`,
        } as const);
  return { secrets, missing, warning, trace };
}
