import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { isSystemError } from '../base/coded-error.ts';
import type { ClusterSource } from '../daemon/cluster-images.ts';
import { defaultRootPath } from '../daemon/state-root.ts';
import type { OpenAdministration } from '../registry/admin/open-administration.ts';
import { interruptible } from './_interruptible.ts';
import { formatBytes, formatTable } from './_output.ts';
import { administer, registryOptions, withDirectory, type DirectoryOptions } from './_registry-directory.ts';
import { EXIT, UsageError } from './exit.ts';

interface UpkeepOptions extends DirectoryOptions {
  readonly output: string;
  readonly dryRun?: boolean;
}

const FORMATS = ['text', 'json'];

/** `dray registry gc|retain|scrub|backup`: each also while the registry serves. */
export function upkeepCommands(): Command[] {
  return [gc(), retain(), scrub(), backup()];
}

function gc(): Command {
  return upkeep('gc', 'Frees what nothing needs any more, beside pushes.')
    .option('--dry-run', 'only say what would be freed')
    .option(
      '--delay-minutes <minutes>',
      'how long unneeded content is kept (default: as configured, else a day)',
    )
    .action(async (options: UpkeepOptions & { delayMinutes?: string }) => {
      const minutes = Number(options.delayMinutes ?? 0);
      if (!(minutes >= 0)) throw new UsageError(`--delay-minutes "${options.delayMinutes}" is no number`);
      const delay = options.delayMinutes === undefined ? {} : { delayMs: minutes * 60_000 };
      const signal = interruptible();
      process.exitCode = await administer(options, async ({ maintenance }) => {
        const report =
          options.dryRun === true
            ? await maintenance.previewCollection(signal, delay)
            : await maintenance.collect(signal, delay);
        const verb = options.dryRun === true ? 'would be removed' : 'removed';
        say(
          options,
          report,
          report.busy
            ? 'another process collects just now: nothing was done\n'
            : `${verb}: ${report.removedBlobs} blobs, ${formatBytes(report.freedBytes)}; ${report.sweptUploads} unfinished uploads; ${report.removedRepositories} empty repositories\n`,
        );
        return report.busy ? EXIT.failure : EXIT.ok;
      });
    });
}

function retain(): Command {
  return upkeep('retain', 'Removes tags and manifests that the projects’ retention rules give up.')
    .option('--dry-run', 'only say what would go')
    .option('--project <project>', 'only in this project')
    .option(
      '--kubeconfig <file>',
      'cluster whose Pods and templates are left alone (default: as configured, or that of dray up)',
    )
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
    .option('--no-cluster', 'ask no cluster: nobody pulls from this registry into one')
    .action(async (options: RetainOptions) => {
      const signal = interruptible();
      const clusters = await clustersOf(options);
      const task = async ({ maintenance }: OpenAdministration): Promise<void> => {
        const { project } = options;
        const items = await maintenance.retain(signal, {
          dryRun: options.dryRun === true,
          ...(project === undefined ? {} : { project }),
        });
        const rows = items.map((item) => [item.repository, item.name, item.kind, item.reason]);
        say(options, items, formatTable([['REPOSITORY', 'NAME', 'KIND', 'REASON'], ...rows]));
      };
      process.exitCode = await administer(options, task, { clusters });
    });
}

interface RetainOptions extends UpkeepOptions {
  readonly project?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  /** False with `--no-cluster`. */
  readonly cluster: boolean;
}

/**
 * Returns the clusters to ask beside those of a configuration file.
 *
 * @throws UsageError when nothing says which: what a cluster uses must not go because it was forgotten
 */
async function clustersOf(options: RetainOptions): Promise<ClusterSource[]> {
  const { kubeconfig, context } = options;
  if (kubeconfig !== undefined) return [context === undefined ? { kubeconfig } : { kubeconfig, context }];
  if (context !== undefined) throw new UsageError('--context belongs to --kubeconfig');
  if (!options.cluster) return [];
  const embedded = await embeddedCluster(options);
  const isConfigured =
    options.config !== undefined && (await registryOptions(options)).maintenance?.inUse !== undefined;
  if (embedded.length > 0 || isConfigured || options.dryRun === true) return embedded;
  throw new UsageError(
    'nothing says which cluster uses these images: name it with --kubeconfig FILE, or say --no-cluster; --dry-run shows what would go',
  );
}

/** Returns the cluster of `dray up`, when its registry is meant and it was ever started. */
async function embeddedCluster(options: RetainOptions): Promise<ClusterSource[]> {
  if (options.config !== undefined || options.directory !== undefined) return [];
  const kubeconfig = join(options.root ?? defaultRootPath(), 'kubeconfig');
  try {
    await access(kubeconfig);
    return [{ kubeconfig }];
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}

function scrub(): Command {
  return upkeep(
    'scrub',
    'Reads every blob; damaged ones are put aside, to be pushed again. Exit code 1 when there are.',
  ).action(async (options: UpkeepOptions) => {
    const signal = interruptible();
    process.exitCode = await administer(options, async ({ maintenance }) => {
      const report = await maintenance.scrub(signal);
      const lines = report.damaged.map(
        ({ digest, fault, detail, repositories }) =>
          `${digest}: ${fault}: ${detail}${repositories.length === 0 ? '' : `; was in ${repositories.join(', ')}`}\n`,
      );
      say(
        options,
        report,
        `${lines.join('')}${report.checkedBlobs} blobs checked, ${formatBytes(report.checkedBytes)}; ${report.damaged.length} damaged; ${report.orphans} unknown to the metadata\n`,
      );
      return report.damaged.length === 0 ? EXIT.ok : EXIT.failure;
    });
  });
}

function backup(): Command {
  return upkeep(
    'backup',
    'Copies the registry to a directory, which is a registry directory itself. Exit code 1 when a blob could not be copied.',
  )
    .argument('<target>', 'directory; an earlier backup there is brought up to date')
    .action(async (target: string, options: UpkeepOptions) => {
      const signal = interruptible();
      process.exitCode = await administer(options, async ({ maintenance }) => {
        const report = await maintenance.backup(target, signal);
        say(
          options,
          report,
          `${report.lost.map((digest) => `${digest}: missing or damaged, not copied\n`).join('')}${report.blobs} blobs, ${formatBytes(report.bytes)}; ${report.reused} were there already\n`,
        );
        return report.lost.length === 0 ? EXIT.ok : EXIT.failure;
      });
    });
}

function upkeep(name: string, description: string): Command {
  return withDirectory(new Command(name).description(description))
    .option('-o, --output <format>', `one of ${FORMATS.join(', ')}`, 'text')
    .hook('preAction', (command) => {
      const { output } = command.opts<UpkeepOptions>();
      if (!FORMATS.includes(output))
        throw new UsageError(`unknown output format "${output}": there are ${FORMATS.join(', ')}`);
    });
}

function say(options: UpkeepOptions, data: unknown, text: string): void {
  process.stdout.write(options.output === 'json' ? `${JSON.stringify(data, undefined, 2)}\n` : text);
}
