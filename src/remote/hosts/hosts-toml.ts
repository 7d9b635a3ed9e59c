import { createRequire } from 'node:module';
import { isAbsolute, join } from 'node:path';
import type * as Toml from 'smol-toml';
import { messageOf } from '../../base/coded-error.ts';
import { parseGoDuration } from '../../base/go-duration.ts';
import type { HostCapability } from '../host-config.ts';
import { HostConfigError } from './host-config-error.ts';

/*
 * containerd's hosts.toml (rules 16.5 to 16.9):
 *
 *   server = "https://registry.example"          the registry itself, tried last
 *   [host."https://mirror.example"]              tried first, in the order of the file
 *     capabilities = ["pull", "resolve"]
 *     ca = "ca.pem"   client = [["cert.pem", "key.pem"]]   skip_verify = false
 *     override_path = false   dial_timeout = "10s"
 *     forward_credentials = false                ours: the mirror may see the registry's credential
 *     token_services = ["auth.example.net"]      ours: may see it too, although they lie in another domain
 *   [host."https://mirror.example".header]
 *     x-site = "a"
 */

const load = createRequire(import.meta.url);

/** More than any administrator writes by hand; parsing stays fast. */
const MAX_FILE_LENGTH = 1024 * 1024;

export const ALL_CAPABILITIES: ReadonlySet<HostCapability> = new Set([
  'pull',
  'resolve',
  'push',
  'referrers',
]);

/** Paths of a certificate and its key; the key is in the same file when `key` is absent. */
export interface ClientPair {
  readonly cert: string;
  readonly key?: string;
}

/** Fields that a host table and the file's root share. Absent means not written. */
export interface HostFields {
  readonly capabilities: ReadonlySet<HostCapability>;
  readonly ca: readonly string[];
  readonly client: readonly ClientPair[];
  readonly skipVerify?: boolean;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly overridePath: boolean;
  readonly dialTimeoutMs?: number;
  readonly forwardCredentials: boolean;
  /** Hosts, lower case, with their port where it is not 443. */
  readonly tokenServices: readonly string[];
}

/** One host as written, with its address worked out (rule 16.7). */
export interface HostEntry extends HostFields {
  readonly scheme: 'https' | 'http';
  readonly host: string;
  readonly path: string;
}

export interface HostsFile {
  readonly hosts: readonly HostEntry[];
  /** The root level: with `server`, an entry like the others; without, only its fields count (rule 16.5). */
  readonly root: HostEntry | HostFields;
}

/**
 * Reads a hosts.toml. Relative paths are taken from `directory` (rule 16.8).
 *
 * @throws HostConfigError `BAD_FILE`; the whole file is then to be ignored (rule 16.9)
 */
export function parseHostsToml(text: string, directory: string): HostsFile {
  if (text.length > MAX_FILE_LENGTH)
    throw bad(`file has ${text.length} characters, at most ${MAX_FILE_LENGTH} are read`);
  let document: unknown;
  try {
    // Loaded where there is such a file: most machines have none.
    document = (load('smol-toml') as typeof Toml).parse(text);
  } catch (error) {
    throw new HostConfigError('BAD_FILE', `failed to parse TOML: ${messageOf(error)}`, { cause: error });
  }
  const table = asTable(document, 'file');
  const hostTable = own(table, 'host');
  const hosts =
    hostTable === undefined
      ? []
      : Object.entries(asTable(hostTable, 'host')).map(([url, value]) =>
          entryOf(url, readFields(asTable(value, `host."${url}"`), directory)),
        );
  const fields = readFields(table, directory);
  const server = own(table, 'server');
  if (server !== undefined && typeof server !== 'string') throw bad('server is not a string');
  return { hosts, root: server === undefined || server === '' ? fields : entryOf(server, fields) };
}

function entryOf(url: string, fields: HostFields): HostEntry {
  const text = url.startsWith('http') ? url : `https://${url}`;
  const parsed = URL.parse(text);
  const match = /^(https?):\/\/([^/?#@]+)([^?#]*)$/.exec(text);
  const [, scheme, host, path = ''] = match ?? [];
  if (parsed === null || host === undefined || (scheme !== 'https' && scheme !== 'http'))
    throw bad(`unable to parse server "${url}"`);
  const trimmed = path.replace(/\/+$/, '');
  const full = fields.overridePath || trimmed.endsWith('/v2') ? trimmed : `${trimmed}/v2`;
  return { ...fields, scheme, host, path: full };
}

function readFields(table: Record<string, unknown>, directory: string): HostFields {
  const dialTimeoutMs = readDuration(own(table, 'dial_timeout'));
  const skipVerify = readBoolean(table, 'skip_verify');
  return {
    capabilities: readCapabilities(own(table, 'capabilities')),
    ca: readPaths(own(table, 'ca'), 'ca').map((path) => absolute(path, directory)),
    client: readClient(own(table, 'client'), directory),
    ...(skipVerify === undefined ? {} : { skipVerify }),
    headers: readHeaders(own(table, 'header')),
    overridePath: readBoolean(table, 'override_path') ?? false,
    ...(dialTimeoutMs === undefined ? {} : { dialTimeoutMs }),
    forwardCredentials: readBoolean(table, 'forward_credentials') ?? false,
    tokenServices: readTokenServices(own(table, 'token_services')),
  };
}

function readCapabilities(value: unknown): ReadonlySet<HostCapability> {
  const names = value === undefined ? [] : readStrings(value, 'capabilities');
  if (names.length === 0) return ALL_CAPABILITIES;
  const known: ReadonlySet<string> = ALL_CAPABILITIES;
  for (const name of names) if (!known.has(name.toLowerCase())) throw bad(`unknown capability "${name}"`);
  return new Set(names.map((name) => name.toLowerCase() as HostCapability));
}

function readTokenServices(value: unknown): readonly string[] {
  return (value === undefined ? [] : readStrings(value, 'token_services')).map((text) => {
    const url = /[/@?#]/.test(text) ? null : URL.parse(`https://${text}`);
    if (url === null) throw bad(`token_services: "${text}" is no host`);
    return url.host;
  });
}

function readPaths(value: unknown, name: string): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : readStrings(value, name);
}

function readClient(value: unknown, directory: string): ClientPair[] {
  if (value === undefined) return [];
  const items: unknown[] = Array.isArray(value) ? value : [value];
  return items.map((item) => {
    const names = typeof item === 'string' ? [item] : readStrings(item, 'client');
    const [cert, key] = names;
    if (cert === undefined || names.length > 2)
      throw bad('client is neither a file nor a pair of certificate and key');
    return {
      cert: absolute(cert, directory),
      ...(key === undefined || key === '' ? {} : { key: absolute(key, directory) }),
    };
  });
}

function readHeaders(value: unknown): Readonly<Record<string, readonly string[]>> {
  const headers: Record<string, readonly string[]> = Object.create(null);
  for (const [name, content] of Object.entries(value === undefined ? {} : asTable(value, 'header'))) {
    const values = typeof content === 'string' ? [content] : readStrings(content, `header "${name}"`);
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) throw bad(`header "${name}" is no header name`);
    if (values.some((each) => /[^\t\x20-\x7e\x80-\xff]/.test(each)))
      throw bad(`header "${name}" has a value that no header can carry`);
    headers[name.toLowerCase()] = values;
  }
  return headers;
}

function readDuration(value: unknown): number | undefined {
  if (value === undefined || value === '') return undefined;
  if (typeof value !== 'string') throw bad('dial_timeout is not a string');
  try {
    const milliseconds = parseGoDuration(value);
    return milliseconds > 0 ? Math.ceil(milliseconds) : undefined;
  } catch (error) {
    throw new HostConfigError('BAD_FILE', `dial_timeout: ${messageOf(error)}`, { cause: error });
  }
}

function readBoolean(table: Record<string, unknown>, name: string): boolean | undefined {
  const value = own(table, name);
  if (value === undefined || typeof value === 'boolean') return value;
  throw bad(`${name} is not a boolean`);
}

function readStrings(value: unknown, name: string): string[] {
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
    throw bad(`invalid type for ${name}: expected strings`);
  return value;
}

function asTable(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Date)
    throw bad(`${name} is not a table`);
  return value as Record<string, unknown>;
}

function own(table: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function absolute(path: string, directory: string): string {
  return isAbsolute(path) ? path : join(directory, path);
}

function bad(what: string): HostConfigError {
  return new HostConfigError('BAD_FILE', what);
}
