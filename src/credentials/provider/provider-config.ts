import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { parseDocument } from 'yaml';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import { parseGoDuration } from '../../base/go-duration.ts';
import { goQuote } from '../../base/go-quote.ts';
import { CredentialError } from '../credential-error.ts';
import type { JsonNode } from '../go-json.ts';
import { parseTyped, StrictDecoder } from './_strict-json.ts';

/** How a plug-in takes part for service accounts (rule 9.6). */
export interface TokenAttributes {
  readonly serviceAccountTokenAudience: string;
  readonly requireServiceAccount: boolean | undefined;
  /** `Token` or `ServiceAccount` once validated. */
  readonly cacheType: string;
  readonly requiredServiceAccountAnnotationKeys: readonly string[];
  readonly optionalServiceAccountAnnotationKeys: readonly string[];
}

/** One plug-in of a CredentialProviderConfig (rule 9.4). */
export interface ProviderConfig {
  readonly name: string;
  readonly matchImages: readonly string[];
  /** Milliseconds; undefined when not given, which validation refuses. */
  readonly defaultCacheDurationMs: number | undefined;
  readonly apiVersion: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly tokenAttributes: TokenAttributes | undefined;
}

/** What the configured file or directory holds. */
export interface LoadedProviderConfig {
  readonly providers: readonly ProviderConfig[];
  readonly files: readonly string[];
  /** `sha256:…` over all files, as the metric `kubelet_credential_provider_config_info` shows it (9.3). */
  readonly hash: string;
}

const GROUP = 'kubelet.config.k8s.io';
const VERSIONS = ['v1alpha1', 'v1beta1', 'v1'];
const EXTENSIONS: ReadonlySet<string> = new Set(['.json', '.yaml', '.yml']);

/** Aliases resolved in one file; more only serve to blow it up. */
const MAX_ALIASES = 100;

/**
 * Reads a configuration file, or every `.json`, `.yaml` and `.yml` directly in a directory, in the order of their paths
 * (rules 9.1–9.3). Nothing is validated yet: see `validateProviderConfig`.
 *
 * @throws CredentialError `BAD_PROVIDER_CONFIG` with the kubelet's text
 */
export async function loadProviderConfig(path: string): Promise<LoadedProviderConfig> {
  if (path === '') throw refuse('credential provider config path is empty');
  const files = await configFiles(path);
  const hash = createHash('sha256');
  const providers: ProviderConfig[] = [];
  for (const file of files) {
    const bytes = await readFile(file).catch((error: unknown) => {
      throw refuse(`unable to read file ${goQuote(file)}: ${goSystemText('open', file, error)}`, error);
    });
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(bytes.length));
    hash.update(length).update(bytes);
    providers.push(...decodeFile(file, bytes));
  }
  const names = new Set<string>();
  for (const { name } of providers) {
    if (names.has(name))
      throw refuse(`duplicate provider name ${goQuote(name)} found in configuration file(s)`);
    names.add(name);
  }
  return { providers, files, hash: `sha256:${hash.digest('hex')}` };
}

async function configFiles(path: string): Promise<string[]> {
  const info = await stat(path).catch((error: unknown) => {
    throw refuse(`unable to access path ${goQuote(path)}: ${goSystemText('stat', path, error)}`, error);
  });
  if (!info.isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    throw refuse(`unable to read directory ${goQuote(path)}: ${goSystemText('open', path, error)}`, error);
  });
  const files = entries
    .filter((entry) => !entry.isDirectory() && EXTENSIONS.has(extname(entry.name)))
    .map((entry) => join(path, entry.name))
    .sort();
  if (files.length === 0) throw refuse(`no configuration files found in directory ${goQuote(path)}`);
  return files;
}

function decodeFile(file: string, bytes: Buffer): ProviderConfig[] {
  try {
    return decodeProviderConfig(bytes.toString('utf8'));
  } catch (error) {
    throw refuse(`error decoding config ${goQuote(file)}: ${messageOf(error)}`, error);
  }
}

/**
 * Decodes one CredentialProviderConfig, JSON or YAML, strictly (9.2).
 *
 * @throws CredentialError `BAD_JSON` or DurationError
 */
export function decodeProviderConfig(text: string): ProviderConfig[] {
  const { top, apiVersion, kind } = parseTyped(/^\s*\{/.test(text) ? text : yamlToJson(text));
  if (kind === '') throw refuse("Object 'Kind' is missing");
  if (apiVersion === '') throw refuse("Object 'apiVersion' is missing");
  const [group = '', version = ''] = apiVersion.split('/');
  if (group !== GROUP || !VERSIONS.includes(version) || kind !== 'CredentialProviderConfig') {
    throw refuse(`no kind ${goQuote(kind)} is registered for version ${goQuote(apiVersion)}`);
  }
  const decoder = new StrictDecoder();
  const config = decoder.object(top, '', `${version}.CredentialProviderConfig`, [
    'kind',
    'apiVersion',
    'providers',
  ]);
  const providers = decoder.list(
    config.get('providers'),
    'providers',
    `[]${version}.CredentialProvider`,
    (node, path) => decodeProvider(decoder, node, path, version),
  );
  decoder.finish();
  return providers;
}

function decodeProvider(
  decoder: StrictDecoder,
  node: JsonNode,
  path: string,
  version: string,
): ProviderConfig {
  const fields = ['name', 'matchImages', 'defaultCacheDuration', 'apiVersion', 'args', 'env'];
  if (version === 'v1') fields.push('tokenAttributes');
  const provider = decoder.object(node, path, `${version}.CredentialProvider`, fields);
  const tokens = provider.get('tokenAttributes');
  return {
    name: decoder.string(provider.get('name'), `${path}.name`),
    matchImages: decoder.strings(provider.get('matchImages'), `${path}.matchImages`),
    defaultCacheDurationMs: decodeDuration(
      decoder,
      provider.get('defaultCacheDuration'),
      `${path}.defaultCacheDuration`,
    ),
    apiVersion: decoder.string(provider.get('apiVersion'), `${path}.apiVersion`),
    args: decoder.strings(provider.get('args'), `${path}.args`),
    env: decoder.list(provider.get('env'), `${path}.env`, `[]${version}.ExecEnvVar`, (entry, place) => {
      const variable = decoder.object(entry, place, `${version}.ExecEnvVar`, ['name', 'value']);
      return {
        name: decoder.string(variable.get('name'), `${place}.name`),
        value: decoder.string(variable.get('value'), `${place}.value`),
      };
    }),
    tokenAttributes:
      tokens === undefined || tokens.kind === 'null'
        ? undefined
        : decodeTokenAttributes(decoder, tokens, `${path}.tokenAttributes`),
  };
}

function decodeTokenAttributes(decoder: StrictDecoder, node: JsonNode, path: string): TokenAttributes {
  const attributes = decoder.object(node, path, 'v1.ServiceAccountTokenAttributes', [
    'serviceAccountTokenAudience',
    'requireServiceAccount',
    'cacheType',
    'requiredServiceAccountAnnotationKeys',
    'optionalServiceAccountAnnotationKeys',
  ]);
  const text = (name: string): string => decoder.string(attributes.get(name), `${path}.${name}`);
  const keys = (name: string): string[] => decoder.strings(attributes.get(name), `${path}.${name}`);
  return {
    serviceAccountTokenAudience: text('serviceAccountTokenAudience'),
    requireServiceAccount: decoder.boolean(
      attributes.get('requireServiceAccount'),
      `${path}.requireServiceAccount`,
    ),
    cacheType: text('cacheType'),
    requiredServiceAccountAnnotationKeys: keys('requiredServiceAccountAnnotationKeys'),
    optionalServiceAccountAnnotationKeys: keys('optionalServiceAccountAnnotationKeys'),
  };
}

/** Reads a `metav1.Duration`: a Go duration in a string; returns milliseconds. */
export function decodeDuration(
  decoder: StrictDecoder,
  node: JsonNode | undefined,
  path: string,
): number | undefined {
  if (node === undefined || node.kind === 'null') return undefined;
  return parseGoDuration(decoder.string(node, path));
}

/** YAML becomes JSON first, as in Kubernetes; one reader then serves both. */
function yamlToJson(text: string): string {
  const document = parseDocument(text, { version: '1.1', uniqueKeys: true, stringKeys: true });
  const first = document.errors[0];
  if (first !== undefined) {
    const line = first.linePos?.[0].line;
    // The library's message quotes the text around the error, which may hold a secret of `env`.
    throw refuse(
      `error converting YAML to JSON: yaml:${line === undefined ? '' : ` line ${line}:`} ${first.code}`,
    );
  }
  try {
    return JSON.stringify(document.toJS({ maxAliasCount: MAX_ALIASES }) ?? null);
  } catch (error) {
    throw refuse('error converting YAML to JSON: yaml: an alias contains itself or expands too far', error);
  }
}

/** Words a system error as Go's `PathError` does. */
export function goSystemText(operation: string, path: string, error: unknown): string {
  if (!isSystemError(error)) return messageOf(error);
  const texts: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EACCES: 'permission denied',
    EPERM: 'operation not permitted',
    ENOTDIR: 'not a directory',
    EISDIR: 'is a directory',
    ENOEXEC: 'exec format error',
    ELOOP: 'too many levels of symbolic links',
  };
  const text = texts[error.code ?? ''];
  return `${operation} ${path}: ${text ?? error.code ?? 'unknown error'}`;
}

function refuse(message: string, cause?: unknown): CredentialError {
  return new CredentialError('BAD_PROVIDER_CONFIG', message, cause === undefined ? {} : { cause });
}
