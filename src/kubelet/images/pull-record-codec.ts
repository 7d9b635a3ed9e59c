import { CodedError, messageOf } from '../../base/coded-error.ts';
import { goJsonString } from '../../credentials/credential-hash.ts';
import { parseGoJson, type JsonNode } from '../../credentials/go-json.ts';
import type {
  PulledRecord,
  RecordedCredentials,
  RecordedSecret,
  RecordedServiceAccount,
} from './pull-record.ts';

/** `BAD_RECORD`: the file cannot be decoded. */
export class PullRecordError extends CodedError<'BAD_RECORD' | 'UNREADABLE' | 'UNWRITABLE'> {}

const GROUP = 'kubelet.config.k8s.io';
const CURRENT_VERSION = `${GROUP}/v1beta1`;
const READ_VERSIONS = new Set([CURRENT_VERSION, `${GROUP}/v1alpha1`]);

/** A decoded file, and whether it is in the version that this program writes (rule 3.30). */
export interface Decoded<T> {
  readonly value: T;
  readonly current: boolean;
}

/** Prints an intent as its file holds it (rule 3.25). */
export function encodeIntent(image: string): string {
  return `${object([
    ['kind', goJsonString('ImagePullIntent')],
    ['apiVersion', goJsonString(CURRENT_VERSION)],
    ['image', goJsonString(image)],
  ])}\n`;
}

/** Prints a record as its file holds it (rule 3.26). */
export function encodeRecord(record: PulledRecord): string {
  const names = [...record.credentialMapping.keys()].sort();
  const mapping = names.map((name): Member => {
    const credentials = record.credentialMapping.get(name);
    return [name, credentials === undefined ? '{}' : encodeCredentials(credentials)];
  });
  return `${object([
    ['kind', goJsonString('ImagePulledRecord')],
    ['apiVersion', goJsonString(CURRENT_VERSION)],
    ['lastUpdatedTime', goJsonString(record.lastUpdatedTime)],
    ['imageRef', goJsonString(record.imageRef)],
    ['credentialMapping', mapping.length === 0 ? undefined : object(mapping)],
  ])}\n`;
}

type Member = readonly [name: string, json: string | undefined];

function object(members: readonly Member[]): string {
  const given = members.filter(([, json]) => json !== undefined);
  return `{${given.map(([name, json]) => `${goJsonString(name)}:${json ?? ''}`).join(',')}}`;
}

function encodeCredentials(credentials: RecordedCredentials): string {
  const identity = (o: RecordedServiceAccount): Member[] => [
    ['uid', goJsonString(o.uid)],
    ['namespace', goJsonString(o.namespace)],
    ['name', goJsonString(o.name)],
  ];
  const secrets = credentials.kubernetesSecrets.map((secret) =>
    object([...identity(secret), ['credentialHash', goJsonString(secret.credentialHash)]]),
  );
  const accounts = credentials.kubernetesServiceAccounts.map((account) => object(identity(account)));
  return object([
    ['kubernetesSecrets', secrets.length === 0 ? undefined : `[${secrets.join(',')}]`],
    ['kubernetesServiceAccounts', accounts.length === 0 ? undefined : `[${accounts.join(',')}]`],
    ['nodePodsAccessible', credentials.nodePodsAccessible ? 'true' : undefined],
  ]);
}

/**
 * Reads an intent; unknown and doubled fields are errors (rule 3.30).
 *
 * @throws PullRecordError `BAD_RECORD`
 */
export function decodeIntent(text: string): Decoded<string> {
  return decode(text, 'ImagePullIntent', ['image'], (members) => readString(members, 'image'));
}

/**
 * Reads a record; unknown and doubled fields are errors (rule 3.30).
 *
 * @throws PullRecordError `BAD_RECORD`
 */
export function decodeRecord(text: string): Decoded<PulledRecord> {
  return decode(
    text,
    'ImagePulledRecord',
    ['lastUpdatedTime', 'imageRef', 'credentialMapping'],
    (members) => ({
      lastUpdatedTime: readTime(members),
      imageRef: readString(members, 'imageRef'),
      credentialMapping: readMapping(members.get('credentialMapping')),
    }),
  );
}

type Members = ReadonlyMap<string, JsonNode>;

function decode<T>(
  text: string,
  kind: string,
  fields: readonly string[],
  read: (members: Members) => T,
): Decoded<T> {
  try {
    const members = membersOf(parseGoJson(text), ['kind', 'apiVersion', ...fields], kind);
    const version = readString(members, 'apiVersion');
    if (readString(members, 'kind') !== kind) throw bad(`kind is not ${kind}`);
    if (!READ_VERSIONS.has(version)) throw bad(`apiVersion "${version}" is not known`);
    return { value: read(members), current: version === CURRENT_VERSION };
  } catch (error) {
    throw new PullRecordError('BAD_RECORD', `Cannot decode ${kind}: ${messageOf(error)}`, { cause: error });
  }
}

function bad(why: string): PullRecordError {
  return new PullRecordError('BAD_RECORD', why);
}

function membersOf(node: JsonNode, fields: readonly string[], what: string): Members {
  if (node.kind !== 'object') throw bad(`${what} is not an object`);
  const members = new Map<string, JsonNode>();
  for (const [name, value] of node.members) {
    if (!fields.includes(name)) throw bad(`unknown field "${name}" in ${what}`);
    if (members.has(name)) throw bad(`duplicate field "${name}" in ${what}`);
    if (value.kind !== 'null') members.set(name, value);
  }
  return members;
}

function readString(members: Members, name: string): string {
  const node = members.get(name);
  if (node === undefined) return '';
  if (node.kind !== 'string') throw bad(`${name} is not a string`);
  return node.value;
}

function readTime(members: Members): string {
  const text = readString(members, 'lastUpdatedTime');
  if (text === '') return '';
  if (
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text) ||
    Number.isNaN(Date.parse(text))
  )
    throw bad('lastUpdatedTime is not a time');
  return text;
}

function readMapping(node: JsonNode | undefined): ReadonlyMap<string, RecordedCredentials> {
  const mapping = new Map<string, RecordedCredentials>();
  if (node === undefined) return mapping;
  if (node.kind !== 'object') throw bad('credentialMapping is not an object');
  for (const [name, value] of node.members) {
    if (mapping.has(name)) throw bad('duplicate field in credentialMapping');
    mapping.set(name, readCredentials(value));
  }
  return mapping;
}

const IDENTITY = ['uid', 'namespace', 'name'];

function readCredentials(node: JsonNode): RecordedCredentials {
  const members = membersOf(
    node,
    ['kubernetesSecrets', 'kubernetesServiceAccounts', 'nodePodsAccessible'],
    'credentialMapping',
  );
  const accessible = members.get('nodePodsAccessible');
  if (accessible !== undefined && accessible.kind !== 'bool')
    throw bad('nodePodsAccessible is not a boolean');
  return {
    kubernetesSecrets: readList(members.get('kubernetesSecrets'), 'kubernetesSecrets').map(
      (item): RecordedSecret => {
        const fields = membersOf(item, [...IDENTITY, 'credentialHash'], 'kubernetesSecrets');
        return { ...readIdentity(fields), credentialHash: readString(fields, 'credentialHash') };
      },
    ),
    kubernetesServiceAccounts: readList(
      members.get('kubernetesServiceAccounts'),
      'kubernetesServiceAccounts',
    ).map((item) => readIdentity(membersOf(item, IDENTITY, 'kubernetesServiceAccounts'))),
    nodePodsAccessible: accessible?.value ?? false,
  };
}

function readIdentity(fields: Members): RecordedServiceAccount {
  return {
    uid: readString(fields, 'uid'),
    namespace: readString(fields, 'namespace'),
    name: readString(fields, 'name'),
  };
}

function readList(node: JsonNode | undefined, what: string): readonly JsonNode[] {
  if (node === undefined) return [];
  if (node.kind !== 'array') throw bad(`${what} is not a list`);
  return node.items;
}
