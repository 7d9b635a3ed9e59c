import { join } from 'node:path';
import { Command } from 'commander';
import { defaultRootPath } from '../daemon/state-root.ts';
import { watchPulls } from '../daemon/stores/connect-stores.ts';
import { FlightRecords, type FlightRecord } from '../pull/flight-record.ts';
import { shortTag } from './_image-names.ts';
import { formatBytes, formatOutput, formatTable, isTable, outputFormat, withOutput } from './_output.ts';
import { interruptible } from './_interruptible.ts';
import { withRoot } from './_options.ts';
import { ProgressPrinter } from './_progress.ts';
import { EXIT, UsageError } from './exit.ts';

interface PullsOptions {
  readonly root?: string;
  readonly output?: string;
  readonly watch?: boolean;
}

export function command(): Command {
  return withRoot(
    withOutput(
      new Command()
        .description(
          'Lists the last pulls of this machine, the newest first, or tells one in full. Works while another process holds the root.',
        )
        .argument('[id]', 'a pull, by its identifier or the beginning of it')
        .option('-w, --watch', 'show the pulls that are under way now, and what each layer waits for'),
    ),
  ).action(async (id: string | undefined, options: PullsOptions) => {
    process.exitCode = options.watch === true ? await watch(id, options) : await show(id, options);
  });
}

/** Shows what goes on until it is interrupted, or until the process that pulls ends. */
async function watch(id: string | undefined, options: PullsOptions): Promise<number> {
  if (id !== undefined) throw new UsageError('--watch shows all pulls: leave the identifier out');
  const format = outputFormat(options.output, ['table', 'json']);
  const printer = new ProgressPrinter(format === 'json' ? 'json' : 'plain', process.stdout);
  const signal = interruptible();
  for await (const progress of watchPulls(options.root ?? defaultRootPath(), signal))
    printer.pull(progress, { named: true });
  return EXIT.ok;
}

async function show(id: string | undefined, options: PullsOptions): Promise<number> {
  const format = outputFormat(options.output);
  // Records are whole files that never change: no lock is needed to read them.
  const records = new FlightRecords(join(options.root ?? defaultRootPath(), 'pulls'));
  const ids = (await records.ids()).toReversed();
  const chosen = id === undefined ? ids : ids.filter((each) => each.startsWith(id));
  if (id !== undefined && chosen.length !== 1) {
    throw new UsageError(
      chosen.length === 0
        ? `there is no pull ${JSON.stringify(id)}: dray pulls lists them`
        : `several pulls begin with ${JSON.stringify(id)}: say more of it`,
    );
  }
  const found: FlightRecord[] = [];
  for (const each of chosen) {
    const record = await records.read(each);
    if (record !== undefined) found.push(record);
  }
  const [only] = found;
  if (id !== undefined && only !== undefined && isTable(format)) process.stdout.write(story(only));
  else {
    const data = id === undefined ? found : only;
    const table = [
      ['ID', 'STARTED', 'IMAGE', 'OUTCOME', 'TIME', 'FETCHED'],
      ...found.map((record) => [
        record.id,
        record.startedAt,
        shortTag(record.image),
        record.code ?? record.outcome,
        `${(record.durationMs / 1000).toFixed(1)} s`,
        formatBytes(record.parts.reduce((sum, { bytes }) => sum + bytes, 0)),
      ]),
    ];
    process.stdout.write(formatOutput({ data, names: found.map((record) => record.id), table }, format));
  }
  return EXIT.ok;
}

function story(record: FlightRecord): string {
  const facts = [
    ['image', record.image],
    ['started', record.startedAt],
    ['took', `${(record.durationMs / 1000).toFixed(1)} s`],
    ['outcome', record.outcome],
    ...(record.imageId === undefined ? [] : [['image ID', record.imageId]]),
    ...(record.code === undefined ? [] : [['code', record.code]]),
    ...(record.error === undefined ? [] : [['error', record.error]]),
    ...(record.answers ?? []).map(({ host, answer }) => [`answer of ${host}`, answer]),
  ];
  const parts = record.parts.map((part) => [
    part.digest.slice(0, 19),
    part.decision,
    formatBytes(part.size),
    formatBytes(part.bytes),
    `${(part.durationMs / 1000).toFixed(1)} s`,
  ]);
  const head = ['LAYER', 'DECISION', 'SIZE', 'FETCHED', 'TIME'];
  const hops = record.hops.map(({ method, url, status, error, credential, durationMs }) => [
    method,
    String(status ?? error ?? ''),
    `${Math.round(durationMs)} ms`,
    credential ?? 'anonymous',
    url,
  ]);
  return [
    formatTable(facts),
    ...(parts.length === 0 ? [] : [formatTable([head, ...parts])]),
    ...(hops.length === 0
      ? []
      : [formatTable([['REQUEST', 'ANSWER', 'TIME', 'CREDENTIAL', 'URL'], ...hops])]),
    ...(record.hopsLeftOut === 0 ? [] : [`${record.hopsLeftOut} requests left out\n`]),
  ].join('\n');
}
