import { access, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { isSystemError } from '../base/coded-error.ts';
import { fileProblem } from '../base/file-problem.ts';
import type { ClusterSource } from '../daemon/cluster-images.ts';
import { defaultRootPath } from '../daemon/state-root.ts';
import type { MaintenanceOptions } from '../registry/admin/maintenance.ts';
import type { OpenAdministration } from '../registry/admin/open-administration.ts';
import type { LoadedConfig } from '../registry/config/load-config.ts';
import type { RegistryOptions } from '../registry/registry.ts';
import { EXIT, UsageError } from './exit.ts';

/** Options that say which registry is meant. */
export interface DirectoryOptions {
  readonly directory?: string;
  readonly config?: string;
  readonly root?: string;
}

/** Adds the options that name a registry: its directory, its configuration file, or the root that `dray up` runs on. */
export function withDirectory(command: Command): Command {
  return command
    .option('--directory <directory>', 'directory of the registry (default: that of dray up)')
    .option('--config <file>', 'configuration file of the registry')
    .option(
      '--root <directory>',
      'root of dray up (default: $DRAYAGE_ROOT, /var/lib/drayage or ~/.local/share/drayage)',
    );
}

/** Returns the options of the configuration file, or nothing but the directory. @throws UsageError */
export async function registryOptions(options: DirectoryOptions): Promise<RegistryOptions> {
  if (options.config === undefined)
    return { directory: options.directory ?? join(options.root ?? defaultRootPath(), 'registry') };
  if (options.directory !== undefined)
    throw new UsageError('--config and --directory exclude each other: the file names the directory');
  const { options: loaded, clusters, findings } = await readConfig(options.config);
  if (loaded === undefined) {
    const errors = findings.filter(({ level }) => level === 'error');
    const lines = errors.map(({ at, message }) => `\n  ${at === '' ? message : `${at}: ${message}`}`);
    throw new UsageError(`Cannot use configuration "${options.config}":${lines.join('')}`);
  }
  return clusters.length === 0
    ? loaded
    : { ...loaded, maintenance: askingClusters(loaded.maintenance, clusters) };
}

/** Adds to what maintenance does that it asks clusters what they use before anything is retired. */
export function askingClusters(
  maintenance: MaintenanceOptions | undefined,
  clusters: readonly ClusterSource[],
): MaintenanceOptions {
  return {
    ...maintenance,
    // A client of Kubernetes takes memory that a registry can do without until it retires something.
    inUse: async (signal) => (await import('../daemon/cluster-images.ts')).clusterImages(clusters, signal),
  };
}

/** Reads and checks a configuration file. @throws UsageError when it cannot be read or is no YAML */
export async function readConfig(path: string): Promise<LoadedConfig> {
  const [{ parse }, { loadRegistryConfig }] = await Promise.all([
    import('yaml'),
    import('../registry/config/load-config.ts'),
  ]);
  let value: unknown;
  try {
    value = parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`Cannot read configuration "${path}": ${fileProblem(error)}`);
  }
  return loadRegistryConfig(value, path);
}

/**
 * Opens a registry's directory for one task, whether or not it is served meanwhile.
 *
 * @param options.create makes the directory when there is none: only what begins a registry asks for it.
 *   `clusters`: what retention asks, in place of what is configured
 */
export async function administer(
  options: DirectoryOptions,
  task: (registry: OpenAdministration) => Promise<number | void>,
  { create = false, clusters = [] }: { create?: boolean; clusters?: readonly ClusterSource[] } = {},
): Promise<number> {
  const { directory, maintenance: configured } = await registryOptions(options);
  const maintenance = clusters.length === 0 ? configured : askingClusters(configured, clusters);
  if (create) await mkdir(directory, { recursive: true, mode: 0o700 });
  else {
    await access(join(directory, 'registry.db')).catch((error: unknown) => {
      if (!isSystemError(error, 'ENOENT')) throw error;
      throw new UsageError(
        `there is no registry in ${directory}: name its --directory, its --config, or the --root of dray up`,
      );
    });
  }
  const { openAdministration } = await import('../registry/admin/open-administration.ts');
  const opened = await openAdministration(directory, maintenance === undefined ? {} : { maintenance });
  try {
    return (await task(opened)) ?? EXIT.ok;
  } finally {
    await opened.close();
  }
}

/**
 * Returns the host that image names of this registry begin with.
 *
 * @throws UsageError when nothing says it
 */
export async function registryHost(options: DirectoryOptions & { server?: string }): Promise<string> {
  if (options.server !== undefined) return options.server.replace(/^https?:\/\//, '').replace(/\/+$/, '');
  const { publicUrl, host, port } = await registryOptions(options);
  if (publicUrl !== undefined) return new URL(publicUrl).host;
  if (options.config !== undefined && host !== undefined && !/^(?:0\.0\.0\.0|::)$/.test(host) && port)
    return `${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (options.config === undefined && options.directory === undefined) {
    const text = await readFile(join(options.root ?? defaultRootPath(), 'ports.json'), 'utf8').catch(
      () => '{}',
    );
    const ports = JSON.parse(text) as { registry?: unknown };
    if (typeof ports.registry === 'number') return `localhost:${ports.registry}`;
  }
  throw new UsageError('nothing says how nodes call this registry: name it with --server HOST:PORT');
}
