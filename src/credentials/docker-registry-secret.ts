import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { isSystemError, messageOf } from '../base/coded-error.ts';
import { CredentialError } from './credential-error.ts';
import { encodeDockerConfigJson, goJsonObject, goJsonStringify } from './docker-config.ts';

/** Server that is meant when none is named (rule 7.5). */
export const DEFAULT_DOCKER_SERVER = 'https://index.docker.io/v1/';

const TYPE = 'kubernetes.io/dockerconfigjson';
const KEY = '.dockerconfigjson';

/** The flags of `create secret docker-registry`. */
export interface DockerRegistrySecretRequest {
  readonly name: string;
  readonly namespace?: string;
  /** Default {@link DEFAULT_DOCKER_SERVER}; used as key exactly as written. */
  readonly server?: string;
  readonly username?: string;
  readonly password?: string;
  readonly email?: string;
  /** `path` or `key=path`; makes the flags above unnecessary. */
  readonly fromFile?: readonly string[];
  /** Adds a hash of the content to the name. */
  readonly appendHash?: boolean;
}

/** The Secret as it is sent: fits the API's `Secret`. */
export interface DockerRegistrySecret {
  apiVersion: 'v1';
  kind: 'Secret';
  metadata: { name: string; namespace?: string };
  type: typeof TYPE;
  data: Record<string, string>;
}

/**
 * Makes the Secret that `kubectl create secret docker-registry` makes, byte for byte (7.5–7.8).
 *
 * @throws CredentialError `BAD_SECRET_REQUEST` with kubectl's text
 */
export async function dockerRegistrySecret(
  request: DockerRegistrySecretRequest,
): Promise<DockerRegistrySecret> {
  const {
    name,
    username = '',
    password = '',
    email = '',
    server = DEFAULT_DOCKER_SERVER,
    fromFile = [],
  } = request;
  if (name === '') throw refuse('name must be specified');
  const data = new Map<string, Buffer>();
  if (fromFile.length > 0) {
    for (const source of fromFile) await addFile(data, source);
  } else {
    if (username === '' || password === '' || server === '') {
      throw refuse(
        'either --from-file or the combination of --docker-username, --docker-password and --docker-server is required',
      );
    }
    const config = encodeDockerConfigJson(new Map([[server, { username, password, email }]]));
    data.set(KEY, Buffer.from(config, 'utf8'));
  }
  const encoded = [...data]
    .map(([key, bytes]) => [key, bytes.toString('base64')] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: request.appendHash === true ? `${name}-${contentHash(name, encoded)}` : name,
      ...(request.namespace !== undefined && { namespace: request.namespace }),
    },
    type: TYPE,
    data: Object.fromEntries(encoded),
  };
}

/** Reads one `--from-file`: a plain path stands for the key of the type (7.8). */
async function addFile(data: Map<string, Buffer>, source: string): Promise<void> {
  const { key, path } = splitSource(source.includes('=') ? source : `${KEY}=${source}`);
  try {
    if ((await stat(path)).isDirectory()) throw refuse('cannot give a key name for a directory path');
    checkKey(key, data);
    data.set(key, await readFile(path));
  } catch (error) {
    if (error instanceof CredentialError) throw error;
    const why = isSystemError(error, 'ENOENT')
      ? 'no such file or directory'
      : isSystemError(error, 'EACCES')
        ? 'permission denied'
        : messageOf(error);
    throw refuse(`error reading ${path}: ${why}`, error);
  }
}

function splitSource(source: string): { key: string; path: string } {
  const [key = '', path = '', ...more] = source.split('=');
  if (more.length > 0) throw refuse("key names or file paths cannot contain '='");
  if (key === '') throw refuse(`key name for file path ${path} missing`);
  if (path === '') throw refuse(`file path for key name ${key} missing`);
  return { key, path };
}

function checkKey(key: string, data: ReadonlyMap<string, Buffer>): void {
  const valid = /^[-._a-zA-Z0-9]+$/.test(key) && key.length <= 253 && key !== '.' && !key.startsWith('..');
  if (!valid) {
    throw refuse(
      `${JSON.stringify(key)} is not valid key name for a Secret a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`,
    );
  }
  if (data.has(key)) throw refuse(`cannot add key ${key}, another key by that name already exists`);
}

/** Hashes name, type and data as kubectl's `--append-hash` does, with letters that spell no words. */
function contentHash(name: string, data: readonly (readonly [key: string, value: string])[]): string {
  const rest = goJsonStringify({ kind: 'Secret', name, type: TYPE });
  const text = `{"data":${goJsonObject(data)},${rest.slice(1)}`;
  const harmless: Readonly<Record<string, string>> = { '0': 'g', '1': 'h', '3': 'k', a: 'm', e: 't' };
  const hex = createHash('sha256').update(text).digest('hex').slice(0, 10);
  return hex.replaceAll(/[013ae]/g, (digit) => harmless[digit] ?? digit);
}

function refuse(message: string, cause?: unknown): CredentialError {
  return new CredentialError('BAD_SECRET_REQUEST', message, cause === undefined ? {} : { cause });
}
