import { CredentialError } from './credential-error.ts';
import { goJsonString } from './credential-hash.ts';
import { decodeGoBase64 } from './go-base64.ts';
import { parseGoJson, sameFieldName, type JsonNode } from './go-json.ts';

/** What the kubelet keeps of one entry: tokens and helpers are not for nodes (rule 6.6). */
export interface DockerConfigEntry {
  readonly username: string;
  readonly password: string;
  readonly email: string;
}

/** Entries by their key as written (`https://index.docker.io/v1/`, `quay.io/team`), in document order. */
export type DockerConfig = ReadonlyMap<string, DockerConfigEntry>;

/**
 * Reads `config.json` or the value of `.dockerconfigjson` as the kubelet does (6.4–6.8): `auths`, nothing else.
 *
 * @throws CredentialError `BAD_JSON`, `BAD_BASE64` or `BAD_AUTH_FIELD` with Go's text; one bad entry fails the whole
 */
export function parseDockerConfigJson(input: string | Uint8Array): DockerConfig {
  const top = parseGoJson(input);
  if (top.kind === 'null') return new Map();
  if (top.kind !== 'object') throw typeError(top, 'value', 'credentialprovider.DockerConfigJSON');
  let auths = new Map<string, DockerConfigEntry>();
  for (const [key, value] of top.members) {
    if (sameFieldName(key, 'auths')) {
      if (value.kind === 'null') auths = new Map();
      else addEntries(auths, value, 'DockerConfigJSON.auths');
    } else if (sameFieldName(key, 'httpheaders')) {
      checkHeaders(value);
    }
  }
  return auths;
}

/**
 * Reads `.dockercfg`, the older form: the entries themselves at the top (6.4).
 *
 * @throws CredentialError as {@link parseDockerConfigJson}
 */
export function parseDockercfg(input: string | Uint8Array): DockerConfig {
  const entries = new Map<string, DockerConfigEntry>();
  const top = parseGoJson(input);
  if (top.kind !== 'null') addEntries(entries, top, undefined);
  return entries;
}

/** Reads the `auth` field: base64 of `user:password`, padded or not (6.7). */
export function decodeAuthField(field: string): { username: string; password: string } {
  const decoded = decodeGoBase64(field, field.trim().endsWith('=') ? 'padded' : 'unpadded').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 0) {
    throw new CredentialError(
      'BAD_AUTH_FIELD',
      'unable to parse auth field, must be formatted as base64(username:password)',
    );
  }
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/** Makes the `auth` field: padded standard base64 of `user:password` (6.9). */
export function encodeAuthField(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
}

/** Texts, and objects of texts: all that is printed in Go's form here. */
export type GoJsonText = string | { readonly [name: string]: GoJsonText };

/** Prints JSON as Go's `json.Marshal` does: compact, with the characters that matter in HTML escaped. */
export function goJsonStringify(value: GoJsonText): string {
  return typeof value === 'string' ? goJsonString(value) : goJsonObject(Object.entries(value));
}

/** Prints an object whose members keep their order, whatever their names. */
export function goJsonObject(members: Iterable<readonly [name: string, value: GoJsonText]>): string {
  return `{${Array.from(members, ([name, value]) => `${goJsonString(name)}:${goJsonStringify(value)}`).join(',')}}`;
}

/** Writes entries as the kubelet and kubectl do: username, password, email, auth in this order, empty ones left out (6.9). */
export function encodeDockerConfigJson(config: DockerConfig): string {
  const auths = [...config].map(([key, { username, password, email }]) => {
    const fields = {
      ...(username !== '' && { username }),
      ...(password !== '' && { password }),
      ...(email !== '' && { email }),
      auth: encodeAuthField(username, password),
    };
    return [key, fields] as const;
  });
  return `{"auths":${goJsonObject(auths)}}`;
}

function addEntries(into: Map<string, DockerConfigEntry>, node: JsonNode, field: string | undefined): void {
  if (node.kind !== 'object') {
    throw typeError(node, field === undefined ? 'value' : { field }, 'credentialprovider.DockerConfig');
  }
  for (const [key, value] of node.members) into.set(key, readEntry(value, field));
}

function readEntry(node: JsonNode, outer: string | undefined): DockerConfigEntry {
  const fields = { username: '', password: '', email: '', auth: '' };
  if (node.kind === 'null') return { username: '', password: '', email: '' };
  if (node.kind !== 'object') {
    const type = 'credentialprovider.dockerConfigEntryWithAuth';
    throw typeError(node, outer === undefined ? 'value' : { field: outer }, type);
  }
  let mistyped: CredentialError | undefined;
  for (const [key, value] of node.members) {
    const name = (['username', 'password', 'email', 'auth'] as const).find((n) => sameFieldName(key, n));
    if (name === undefined || value.kind === 'null') continue;
    if (value.kind === 'string') fields[name] = value.value;
    else
      mistyped ??= typeError(value, { field: `${outer ?? 'dockerConfigEntryWithAuth'}.${name}` }, 'string');
  }
  if (mistyped !== undefined) throw mistyped;
  if (fields.auth === '')
    return { username: fields.username, password: fields.password, email: fields.email };
  return { ...decodeAuthField(fields.auth), email: fields.email };
}

function checkHeaders(node: JsonNode): void {
  const field = 'DockerConfigJSON.HttpHeaders';
  if (node.kind === 'null') return;
  if (node.kind !== 'object') throw typeError(node, { field }, 'map[string]string');
  for (const [, value] of node.members) {
    if (value.kind !== 'string' && value.kind !== 'null') throw typeError(value, { field }, 'string');
  }
}

/** Go's text for JSON of the wrong type, without the value. */
function typeError(node: JsonNode, place: 'value' | { field: string }, type: string): CredentialError {
  const into = place === 'value' ? 'value' : `struct field ${place.field}`;
  return new CredentialError(
    'BAD_JSON',
    `json: cannot unmarshal ${node.kind} into Go ${into} of type ${type}`,
  );
}
