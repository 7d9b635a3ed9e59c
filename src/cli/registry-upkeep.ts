import { Command } from 'commander';
import { interruptible } from './_options.ts';
import { formatBytes, formatTable } from './_output.ts';
import { administer, withDirectory, type DirectoryOptions } from './_registry-directory.ts';
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
    .action(async (options: UpkeepOptions & { project?: string }) => {
      const signal = interruptible();
      process.exitCode = await administer(options, async ({ maintenance }) => {
        const { project } = options;
        const items = await maintenance.retain(signal, {
          dryRun: options.dryRun === true,
          ...(project === undefined ? {} : { project }),
        });
        const rows = items.map((item) => [item.repository, item.name, item.kind, item.reason]);
        say(options, items, formatTable([['REPOSITORY', 'NAME', 'KIND', 'REASON'], ...rows]));
      });
    });
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
  return upkeep('backup', 'Copies the registry to a directory, which is a registry directory itself.')
    .argument('<target>', 'directory; an earlier backup there is brought up to date')
    .action(async (target: string, options: UpkeepOptions) => {
      const signal = interruptible();
      process.exitCode = await administer(options, async ({ maintenance }) => {
        const report = await maintenance.backup(target, signal);
        say(
          options,
          report,
          `${report.blobs} blobs, ${formatBytes(report.bytes)}; ${report.reused} were there already\n`,
        );
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
