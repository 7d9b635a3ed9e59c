import { Command } from 'commander';
import { EXIT, UsageError } from './exit.ts';
import { interruptible } from './_interruptible.ts';
import { runPlugin } from './run-plugin.ts';

/** The plug-ins' own arguments go through untouched. */
export function command(): Command {
  const plugins = new Command().description(
    'Credential-provider plug-ins of the kubelet for ECR, Artifact Registry and ACR, and a test for any.',
  );
  for (const plugin of ['ecr', 'gcr', 'acr'] as const) {
    plugins
      .command(plugin)
      .description(
        `run as the kubelet's plug-in for ${plugin.toUpperCase()}: a request on standard input, the answer on standard output`,
      )
      .allowUnknownOption()
      .helpOption(false)
      .argument('[arguments...]')
      .action(async (args: string[], _options: unknown, self: Command) => {
        process.exitCode = await runPlugin(plugin, self.args.length > 0 ? self.args : args);
      });
  }
  plugins
    .command('test')
    .description(
      'run the configured plug-ins for an image as a node would: match, exit, standard error, cache key, expiry',
    )
    .argument('<image>', 'image, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1')
    .requiredOption('--image-credential-provider-config <path>', 'their configuration, a file or a directory')
    .requiredOption('--image-credential-provider-bin-dir <directory>', 'their programs')
    .option('-o, --output <format>', 'text or json', 'text')
    .action(
      async (
        image: string,
        options: {
          imageCredentialProviderConfig: string;
          imageCredentialProviderBinDir: string;
          output: string;
        },
      ) => {
        process.exitCode = await testPlugins(image, options);
      },
    );
  return plugins;
}

async function testPlugins(
  image: string,
  options: { imageCredentialProviderConfig: string; imageCredentialProviderBinDir: string; output: string },
): Promise<number> {
  if (options.output !== 'text' && options.output !== 'json')
    throw new UsageError(`unknown output format "${options.output}": there are text, json`);
  const { testProviders } = await import('../credentials/provider/test-providers.ts');
  const report = await testProviders(
    image,
    {
      configPath: options.imageCredentialProviderConfig,
      binDirectory: options.imageCredentialProviderBinDir,
    },
    interruptible(),
  );
  if (options.output === 'json') {
    process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  } else {
    const lines = [report.image];
    for (const each of report.providers) {
      lines.push(`  ${each.provider}`, `    match    ${each.matched ?? 'none: not asked'}`);
      if (each.matched === undefined) continue;
      lines.push(`    exit     ${each.exit ?? 'not run'}`);
      if (each.stderr !== undefined && each.stderr !== '')
        lines.push(`    stderr   ${each.stderr.trimEnd()}`);
      if (each.error !== undefined) lines.push(`    error    ${each.error}`);
      lines.push(`    answers  ${each.keys.length === 0 ? 'no credential' : each.keys.join(', ')}`);
      lines.push(
        `    cache    ${each.cache === undefined ? 'not kept' : `by ${each.cache.type} ${each.cache.key}, until ${each.cache.expiresAt}`}`,
      );
    }
    lines.push(
      report.candidates.length === 0 ? '  no credential would be tried' : '  would be tried, in this order:',
    );
    for (const [index, candidate] of report.candidates.entries())
      lines.push(`    ${index + 1}. ${candidate.source}, key "${candidate.key}"`);
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  return report.providers.some((each) => each.error !== undefined) ? EXIT.failure : EXIT.ok;
}
