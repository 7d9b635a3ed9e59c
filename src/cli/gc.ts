import { Command } from 'commander';
import { withLocalStores } from './_local-stores.ts';
import { forecastText } from './_gc-forecast.ts';
import { formatBytes, formatOutput, isTable, outputFormat, withOutput } from './_output.ts';
import { interruptible } from './_interruptible.ts';
import { withRoot } from './_options.ts';
import { EXIT } from './exit.ts';

interface GcOptions {
  readonly root?: string;
  readonly output?: string;
  readonly dryRun?: boolean;
  readonly verify?: boolean;
}

export function command(): Command {
  return withRoot(
    withOutput(
      new Command()
        .description(
          'Removes content and unpacked layers that no image, name, running pull or root file system needs. Exit code 1 when --verify found damage.',
        )
        .option(
          '--dry-run',
          'remove nothing: say what would go, and which images the node’s clean-up takes when, and why the others stay',
        )
        .option(
          '--verify',
          'check content, unpacked layers and records; what is damaged goes, so that the next pull brings it',
        ),
    ),
  ).action(async (options: GcOptions) => {
    process.exitCode = await sweep(options);
  });
}

async function sweep(options: GcOptions): Promise<number> {
  const format = outputFormat(options.output);
  const signal = interruptible();
  const { dryRun = false, verify = false } = options;
  const { steps, forecast } = await withLocalStores(
    { options, command: 'dray gc', signal },
    async (stores) => ({
      steps: await stores.collect({ dryRun, verify }, signal),
      // Checking is about what is there; foretelling about what will be.
      forecast: dryRun && !verify ? await stores.forecastImageGc(signal) : undefined,
    }),
  );
  const rows = steps.map(({ name, removed, kept, freedBytes }) => [
    name,
    String(removed.length),
    String(kept),
    formatBytes(freedBytes),
  ]);
  const table = [['STEP', dryRun ? 'WOULD GO' : 'REMOVED', 'KEPT', dryRun ? 'WOULD FREE' : 'FREED'], ...rows];
  const names = steps.flatMap(({ removed }) => removed);
  if (forecast === undefined) process.stdout.write(formatOutput({ data: steps, names, table }, format));
  else {
    const goes = forecast.images.filter((image) => image.goes).map(({ id }) => id);
    const data = { images: forecast, steps };
    if (isTable(format)) process.stdout.write(`${forecastText(forecast, Date.now())}\n`);
    process.stdout.write(formatOutput({ data, names: [...goes, ...names], table }, format));
  }
  const damaged = steps.flatMap((step) => step.damaged ?? []);
  for (const { what, problem } of damaged) process.stderr.write(`damaged: ${what}: ${problem}\n`);
  return damaged.length > 0 ? EXIT.failure : EXIT.ok;
}
