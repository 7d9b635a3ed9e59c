import { mkdir, readFile, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writeFileAtomic } from '../../base/atomic-file.ts';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import { CredentialError } from '../credential-error.ts';
import { encodeAuthField, goJsonStringify } from '../docker-config.ts';
import { decodeGoBase64 } from '../go-base64.ts';
import { parseGoJson, sameFieldName, type JsonNode } from '../go-json.ts';

/** What one entry of a login file gives a client: tokens too, unlike on a node. */
export interface LoginEntry {
  readonly username: string;
  readonly password: string;
  readonly identityToken: string;
  readonly registryToken: string;
}

/** Largest login file read. */
const MAX_FILE_BYTES = 16 << 20;

/**
 * A user's login file, docker's `config.json` or podman's `auth.json`. What this program does not know is kept as it is:
 * order, spelling and numbers included, when the file is written again.
 */
export class LoginFile {
  readonly path: string;
  /** Entries by key, in document order. */
  readonly entries: ReadonlyMap<string, LoginEntry>;
  readonly credsStore: string;
  readonly credHelpers: ReadonlyMap<string, string>;
  readonly #members: readonly (readonly [string, JsonNode])[];

  private constructor(path: string, members: readonly (readonly [string, JsonNode])[]) {
    this.path = path;
    this.#members = members;
    this.entries = readEntries(this.#field('auths'));
    const store = this.#field('credsstore');
    this.credsStore = store?.kind === 'string' ? store.value : '';
    this.credHelpers = readStrings(this.#field('credhelpers'));
  }

  /**
   * Reads a file; one that is missing or empty is an empty file.
   *
   * @throws CredentialError `BAD_CLIENT_CONFIG`, which names the file and never quotes it
   */
  static async read(path: string): Promise<LoginFile> {
    try {
      const bytes = await readFile(path);
      if (bytes.length > MAX_FILE_BYTES) throw new RangeError(`it has ${bytes.length} bytes`);
      return LoginFile.parse(path, bytes);
    } catch (error) {
      if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return new LoginFile(path, []);
      const why = isSystemError(error) ? (error.code ?? 'unreadable') : messageOf(error);
      throw new CredentialError('BAD_CLIENT_CONFIG', `Cannot read login file "${path}": ${why}`, {
        cause: error,
      });
    }
  }

  /** Parses a file's bytes. @throws CredentialError */
  static parse(path: string, bytes: Uint8Array): LoginFile {
    if (Buffer.from(bytes).toString('latin1').trim() === '') return new LoginFile(path, []);
    const top = parseGoJson(bytes);
    if (top.kind !== 'object') throw new CredentialError('BAD_CLIENT_CONFIG', 'it is no JSON object');
    return new LoginFile(path, top.members);
  }

  /** Tells whether anything in the file says where credentials are kept (rule 6.28). */
  get isConfigured(): boolean {
    return this.entries.size > 0 || this.credsStore !== '' || this.credHelpers.size > 0;
  }

  /** Returns this file with one entry put or replaced; an undefined login is an entry without credentials, as docker leaves beside a helper's. */
  withEntry(key: string, login: LoginEntry | undefined): LoginFile {
    const others = this.#auths().filter(([name]) => name !== key);
    const at = others.findIndex(([name]) => name > key);
    others.splice(at < 0 ? others.length : at, 0, [key, login === undefined ? EMPTY : entryNode(login)]);
    return this.#withField('auths', { kind: 'object', members: others });
  }

  /** Returns this file without the entries of the given keys. */
  withoutEntries(keys: readonly string[]): LoginFile {
    if (!keys.some((key) => this.entries.has(key))) return this;
    const members = this.#auths().filter(([name]) => !keys.includes(name));
    return this.#withField('auths', { kind: 'object', members });
  }

  /** Returns this file with a store for everything that has no helper of its own. */
  withCredsStore(name: string): LoginFile {
    return this.#withField('credsStore', { kind: 'string', value: name });
  }

  /** Prints the file as docker does: tabs, no line end after the last brace. */
  print(): string {
    return printNode({ kind: 'object', members: [...this.#members] }, '');
  }

  /** Writes the file, readable by its owner alone; where a link lies at its path, the file that it leads to. */
  async write(): Promise<void> {
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
      const target = await realpath(this.path).catch(() => this.path);
      await writeFileAtomic(target, this.print(), { mode: 0o600 });
    } catch (error) {
      const why = isSystemError(error) ? (error.code ?? 'failed') : messageOf(error);
      throw new CredentialError('BAD_CLIENT_CONFIG', `Cannot write login file "${this.path}": ${why}`, {
        cause: error,
      });
    }
  }

  #field(lowerCaseName: string): JsonNode | undefined {
    return this.#members.findLast(([key]) => sameFieldName(key, lowerCaseName))?.[1];
  }

  #auths(): (readonly [string, JsonNode])[] {
    const auths = this.#field('auths');
    return auths?.kind === 'object' ? [...auths.members] : [];
  }

  #withField(name: string, value: JsonNode): LoginFile {
    const kept = this.#members.filter(([key]) => !sameFieldName(key, name.toLowerCase()));
    const at = this.#members.findIndex(([key]) => sameFieldName(key, name.toLowerCase()));
    const members = kept.toSpliced(at < 0 ? (name === 'auths' ? 0 : kept.length) : at, 0, [name, value]);
    return new LoginFile(this.path, members);
  }
}

const EMPTY: JsonNode = { kind: 'object', members: [] };

function readEntries(node: JsonNode | undefined): Map<string, LoginEntry> {
  const entries = new Map<string, LoginEntry>();
  if (node === undefined || node.kind === 'null') return entries;
  if (node.kind !== 'object') throw new CredentialError('BAD_CLIENT_CONFIG', 'auths is no object');
  for (const [key, value] of node.members) {
    const fields = readFields(value);
    const auth = fields.get('auth') ?? '';
    entries.set(key, {
      ...(auth === ''
        ? { username: fields.get('username') ?? '', password: fields.get('password') ?? '' }
        : decodeClientAuth(auth)),
      identityToken: fields.get('identitytoken') ?? '',
      registryToken: fields.get('registrytoken') ?? '',
    });
  }
  return entries;
}

/** Reads `auth` as docker's client does (rule 6.25): padded, with a colon and a user; NULs after the password are padding. */
export function decodeClientAuth(auth: string): { username: string; password: string } {
  const decoded = decodeGoBase64(auth).toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon <= 0) throw new CredentialError('BAD_AUTH_FIELD', 'invalid auth configuration file');
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1).replace(/\0+$/, '') };
}

function readFields(node: JsonNode): Map<string, string> {
  const names = ['username', 'password', 'auth', 'identitytoken', 'registrytoken'];
  const fields = new Map<string, string>();
  for (const [key, value] of readStrings(node)) {
    const name = names.find((known) => sameFieldName(key, known));
    if (name !== undefined) fields.set(name, value);
  }
  return fields;
}

function readStrings(node: JsonNode | undefined): Map<string, string> {
  const strings = new Map<string, string>();
  if (node?.kind !== 'object') return strings;
  for (const [key, value] of node.members) if (value.kind === 'string') strings.set(key, value.value);
  return strings;
}

/** What is saved of a login (rule 6.26): `auth` and tokens, never user and password in clear. */
function entryNode(login: LoginEntry): JsonNode {
  const fields: [string, string][] = [
    [
      'auth',
      login.username === '' && login.password === '' ? '' : encodeAuthField(login.username, login.password),
    ],
    ['identitytoken', login.identityToken],
    ['registrytoken', login.registryToken],
  ];
  return {
    kind: 'object',
    members: fields
      .filter(([, value]) => value !== '')
      .map(([key, value]) => [key, { kind: 'string', value }] as const),
  };
}

function printNode(node: JsonNode, indent: string): string {
  const deeper = `${indent}\t`;
  if (node.kind === 'object') {
    if (node.members.length === 0) return '{}';
    const lines = node.members.map(
      ([key, value]) => `${deeper}${goJsonStringify(key)}: ${printNode(value, deeper)}`,
    );
    return `{\n${lines.join(',\n')}\n${indent}}`;
  }
  if (node.kind === 'array') {
    if (node.items.length === 0) return '[]';
    return `[\n${node.items.map((item) => deeper + printNode(item, deeper)).join(',\n')}\n${indent}]`;
  }
  if (node.kind === 'string') return goJsonStringify(node.value);
  if (node.kind === 'number') return node.text;
  return node.kind === 'null' ? 'null' : String(node.value);
}
