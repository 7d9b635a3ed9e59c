import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import { silentLogger, type Logger } from '../../observe/logger.ts';
import type { HostResolver, RegistryHost } from '../host-config.ts';
import { dockerCertificateFiles, loadCas, loadClientPairs } from './certificate-files.ts';
import { defaultHost, isInsecure, withScheme } from './default-host.ts';
import { HostConfigError } from './host-config-error.ts';
import { findHostDirectory } from './host-directory.ts';
import {
  ALL_CAPABILITIES,
  parseHostsToml,
  type ClientPair,
  type HostEntry,
  type HostFields,
  type HostsFile,
} from './hosts-toml.ts';
import { legacyHosts, type LegacyMirrors } from './legacy-mirrors.ts';

/** Directories read when nothing else is configured, besides the one below the node's root (rule 16.1). */
export const SYSTEM_HOST_ROOTS: readonly string[] = ['/etc/containerd/certs.d', '/etc/docker/certs.d'];

export interface HostResolverOptions {
  /** Root directories in order of precedence; {@link SYSTEM_HOST_ROOTS} when absent and no `mirrors` are given. */
  readonly roots?: readonly string[];
  /** Registries (`host[:port]` or CIDR) for which certificates are not checked and plain http is accepted. */
  readonly insecureRegistries?: readonly string[];
  /** containerd's old inline form; cannot be combined with `roots` (rule 16.1). */
  readonly mirrors?: LegacyMirrors;
  /** PEM certificates trusted for every registry besides the system's: the CA of this machine's own registry. */
  readonly extraCa?: readonly string[];
  readonly logger?: Logger;
}

/** Returns the default roots of a node: its own first, then the system's. */
export function defaultHostRoots(nodeRoot: string): string[] {
  return [join(nodeRoot, 'certs.d'), ...SYSTEM_HOST_ROOTS];
}

/** Splits a `config_path` value at colons, as containerd's configuration writes it (rule 16.1). */
export function splitConfigPath(path: string): string[] {
  return path.split(':').filter((root) => root !== '');
}

/**
 * Makes the function that says how to reach a registry. Files are read anew for each call, so that an administrator's change
 * counts for the next pull (rule 16.4).
 *
 * @throws HostConfigError when both forms of configuration are given
 */
export function createHostResolver(options: HostResolverOptions = {}): HostResolver {
  const { mirrors, insecureRegistries = [], extraCa = [], logger = silentLogger } = options;
  if (mirrors !== undefined && options.roots !== undefined)
    throw new HostConfigError('BAD_FILE', '`mirrors` cannot be set when `config_path` is provided');
  const roots = options.roots ?? SYSTEM_HOST_ROOTS;
  return async (registry) => {
    const hosts =
      mirrors === undefined
        ? await fromDirectories(registry, roots, insecureRegistries, logger)
        : legacyHosts(registry, mirrors, insecureRegistries);
    return extraCa.length === 0 ? hosts : hosts.map((host) => ({ ...host, ca: [...host.ca, ...extraCa] }));
  };
}

async function fromDirectories(
  registry: string,
  roots: readonly string[],
  insecure: readonly string[],
  logger: Logger,
): Promise<RegistryHost[]> {
  const directory = await findHostDirectory(roots, registry);
  if (directory === undefined) return [defaultHost(registry, insecure)];
  const file = await readHostsFile(directory, logger);
  if (file === undefined) {
    const files = await dockerCertificateFiles(directory);
    return [await upstreamWith(registry, files, insecure)];
  }
  const hosts = await Promise.all(file.hosts.map((entry) => fromEntry(entry, registry)));
  const { root } = file;
  const last =
    'host' in root ? await fromEntry(root, registry) : await upstreamWith(registry, root, insecure);
  return [...hosts, last];
}

/** Reads hosts.toml; undefined when it is missing, empty, or broken and therefore ignored as a whole (rules 16.9, 16.10). */
async function readHostsFile(directory: string, logger: Logger): Promise<HostsFile | undefined> {
  const path = join(directory, 'hosts.toml');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    logger.error({ path, error: messageOf(error) }, 'cannot read registry hosts file, it is ignored');
    return undefined;
  }
  if (text.trim() === '') return undefined;
  try {
    return parseHostsToml(text, directory);
  } catch (error) {
    if (!(error instanceof HostConfigError)) throw error;
    logger.error({ path, error: error.message }, 'cannot use registry hosts file, it is ignored as a whole');
    return undefined;
  }
}

/** The registry itself, with the trust that its directory adds; path and capabilities are its own (rule 16.5). */
async function upstreamWith(
  registry: string,
  fields: { readonly ca: readonly string[]; readonly client: readonly ClientPair[] } & Partial<HostFields>,
  insecure: readonly string[],
): Promise<RegistryHost> {
  const base = defaultHost(registry, insecure);
  const ca = await loadCas(fields.ca);
  const clientCertificates = await loadClientPairs(fields.client);
  return {
    ...base,
    ca,
    clientCertificates,
    capabilities: ALL_CAPABILITIES,
    headers: fields.headers ?? {},
    // On this machine nothing is verified anyway, unless the directory says whom to trust.
    skipVerify: fields.skipVerify ?? base.skipVerify,
    ...(fields.dialTimeoutMs === undefined ? {} : { dialTimeoutMs: fields.dialTimeoutMs }),
    ...(fields.tokenServices === undefined ? {} : { tokenServices: fields.tokenServices }),
    ...(isInsecure(base.host, insecure) ? { fallbackToHttp: true } : {}),
  };
}

async function fromEntry(entry: HostEntry, registry: string): Promise<RegistryHost> {
  const upstream = defaultHost(registry);
  const base: RegistryHost = {
    host: entry.host,
    scheme: entry.scheme,
    path: entry.path,
    capabilities: entry.capabilities,
    ca: await loadCas(entry.ca),
    clientCertificates: await loadClientPairs(entry.client),
    skipVerify: false,
    headers: entry.headers,
    ...(entry.dialTimeoutMs === undefined ? {} : { dialTimeoutMs: entry.dialTimeoutMs }),
    // `docker.io` and `registry-1.docker.io` are one registry (rule 16.13).
    mirror: entry.host !== upstream.host && entry.host !== registry,
    ...(entry.forwardCredentials ? { forwardCredentials: true } : {}),
    tokenServices: entry.tokenServices,
  };
  return withScheme(base, entry.scheme, entry.skipVerify ?? false);
}
