import { Command } from 'commander';
import type { AuditFilter } from '../registry/metadata/audit-log.ts';
import { formatOutput, outputFormat, withOutput } from './_output.ts';
import { administer, withDirectory, type DirectoryOptions } from './_registry-directory.ts';
import { UsageError } from './exit.ts';

const OUTCOMES = ['done', 'denied'] as const;
const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `dray registry repository`: what is stored, by name. */
export function repositoryCommand(): Command {
  const repository = new Command('repository').description('Lists and removes repositories.');
  withOutput(
    withDirectory(repository.command('list').description('Lists repositories with a manifest.')),
  ).action(async (options: DirectoryOptions & { output: string }) => {
    const format = outputFormat(options.output);
    process.exitCode = await administer(options, async ({ admin }) => {
      const names = await admin.listRepositories();
      const output = { data: names, names, table: [['NAME'], ...names.map((name) => [name])] };
      process.stdout.write(formatOutput(output, format));
    });
  });
  withDirectory(
    repository
      .command('remove')
      .description(
        'Removes a repository with its tags, manifests and blobs; the next collection frees the bytes.',
      ),
  )
    .argument('<name>')
    .action(async (name: string, options: DirectoryOptions) => {
      process.exitCode = await administer(options, async ({ admin }) => {
        await admin.removeRepository(name);
        process.stdout.write(`${name}\n`);
      });
    });
  return repository;
}

interface AuditOptions extends DirectoryOptions {
  readonly output: string;
  readonly account?: string;
  readonly outcome?: string;
  readonly since?: string;
  readonly limit: string;
}

/** `dray registry audit`: who changed what, and who was refused. */
export function auditCommand(): Command {
  return withOutput(
    withDirectory(new Command('audit').description('Shows changes and refusals, newest first.')),
  )
    .option(
      '--account <name>',
      'only of this account; "local" is whoever managed the registry on its machine',
    )
    .option('--outcome <outcome>', `only these: ${OUTCOMES.join(', ')}`)
    .option('--since <time>', 'not older: 30m, 12h, 7d, or a time such as 2026-01-31T12:00:00Z')
    .option('--limit <count>', 'at most so many', '100')
    .action(async (options: AuditOptions) => {
      const format = outputFormat(options.output);
      const filter = filterOf(options, Date.now());
      const limit = Number(options.limit);
      if (!Number.isInteger(limit) || limit < 1)
        throw new UsageError(`--limit "${options.limit}" is no number`);
      process.exitCode = await administer(options, async ({ admin }) => {
        const entries = await admin.listAudit(filter, limit);
        const rows = entries.map(({ at, account, address, action, target, outcome, detail }) => [
          new Date(at).toISOString(),
          account === '' ? '-' : account,
          address === '' ? '-' : address,
          action,
          target,
          outcome,
          detail === '' ? '-' : detail,
        ]);
        const table = [['TIME', 'ACCOUNT', 'ADDRESS', 'ACTION', 'TARGET', 'OUTCOME', 'DETAIL'], ...rows];
        const names = entries.map(({ request, target }) => (request === '' ? target : request));
        process.stdout.write(formatOutput({ data: entries, names, table }, format));
      });
    });
}

/** @throws UsageError */
function filterOf({ account, outcome, since }: AuditOptions, now: number): AuditFilter {
  const known = OUTCOMES.find((each) => each === outcome);
  if (outcome !== undefined && known === undefined)
    throw new UsageError(`unknown outcome "${outcome}": there are ${OUTCOMES.join(', ')}`);
  return {
    ...(account === undefined ? {} : { account }),
    ...(known === undefined ? {} : { outcome: known }),
    ...(since === undefined ? {} : { since: timeOf(since, now) }),
  };
}

/** @throws UsageError */
function timeOf(text: string, now: number): number {
  const [, count = '', unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  if (count !== '') return now - Number(count) * (UNITS[unit] ?? 0);
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new UsageError(`--since "${text}" is neither an age like 12h nor a time`);
  return at;
}
