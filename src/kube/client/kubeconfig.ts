import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { CodedError, messageOf } from '../../base/coded-error.ts';
import { fileProblem } from '../../base/file-problem.ts';

export type KubeconfigErrorCode = 'UNREADABLE' | 'MALFORMED' | 'NO_CONTEXT' | 'UNSUPPORTED';
export class KubeconfigError extends CodedError<KubeconfigErrorCode> {}

/** Everything needed to talk to one server as one user. Certificates and keys are PEM. */
export interface ClientConfig {
  /** `https://HOST:PORT`, perhaps with a path in front of `/api`. */
  readonly server: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  /** Takes any server certificate. Only ever set because a kubeconfig says so. */
  readonly insecure?: boolean;
  readonly serverName?: string;
  /** Namespace of the context; `default` when it names none. */
  readonly namespace?: string;
}

/** A kubeconfig is a page of text; this bounds a mistake such as naming a device. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Reads a kubeconfig file and returns what one of its contexts says.
 *
 * @param context name of the context; absent: the file's current one
 * @throws KubeconfigError
 */
export async function loadKubeconfig(path: string, context?: string): Promise<ClientConfig> {
  const text = await read(path);
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new KubeconfigError('MALFORMED', `Cannot read kubeconfig "${path}": ${messageOf(error)}`, {
      cause: error,
    });
  }
  const config = record(value);
  const wanted = context ?? string(config['current-context']);
  const chosen = wanted === undefined ? undefined : named(config['contexts'], wanted, 'context');
  if (chosen === undefined) {
    const which = wanted === undefined ? 'no current context' : `no context "${wanted}"`;
    throw new KubeconfigError('NO_CONTEXT', `Cannot use kubeconfig "${path}": it has ${which}`);
  }
  const cluster = named(config['clusters'], string(chosen['cluster']) ?? '', 'cluster');
  const server = string(cluster?.['server']);
  if (cluster === undefined || server === undefined) {
    throw new KubeconfigError(
      'NO_CONTEXT',
      `Cannot use kubeconfig "${path}": context "${wanted}" names no cluster`,
    );
  }
  const user = named(config['users'], string(chosen['user']) ?? '', 'user') ?? {};
  for (const method of ['exec', 'auth-provider', 'username']) {
    if (user[method] === undefined) continue;
    throw new KubeconfigError(
      'UNSUPPORTED',
      `Cannot use kubeconfig "${path}": its user logs in by "${method}", supported are certificates and tokens`,
    );
  }
  const directory = dirname(path);
  const pem = async (from: Record<string, unknown>, key: string): Promise<string | undefined> => {
    const data = string(from[`${key}-data`]);
    if (data !== undefined) return Buffer.from(data, 'base64').toString();
    const file = string(from[key]);
    return file === undefined ? undefined : read(resolve(directory, file));
  };
  const ca = await pem(cluster, 'certificate-authority');
  const cert = await pem(user, 'client-certificate');
  const key = await pem(user, 'client-key');
  const tokenFile = string(user['tokenFile']);
  const token =
    tokenFile === undefined ? string(user['token']) : (await read(resolve(directory, tokenFile))).trim();
  const serverName = string(cluster['tls-server-name']);
  return {
    server,
    namespace: string(chosen['namespace']) ?? 'default',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(token === undefined ? {} : { token }),
    ...(cluster['insecure-skip-tls-verify'] === true ? { insecure: true } : {}),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

async function read(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > MAX_BYTES)
      throw new RangeError(`it has ${bytes.length} bytes, expected at most ${MAX_BYTES}`);
    return bytes.toString();
  } catch (error) {
    throw new KubeconfigError('UNREADABLE', `Cannot read "${path}": ${fileProblem(error)}`, { cause: error });
  }
}

function named(list: unknown, name: string, key: string): Record<string, unknown> | undefined {
  if (!Array.isArray(list)) return undefined;
  const entry = list.map(record).find((candidate) => candidate['name'] === name);
  return entry === undefined ? undefined : record(entry[key]);
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function string(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
