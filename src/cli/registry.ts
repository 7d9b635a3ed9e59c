import { Command } from 'commander';
import { checkConfigCommand, serveCommand } from './registry-serve.ts';

/** Serves a private registry and manages one, whether or not it is served meanwhile. */
export async function command(args: readonly string[]): Promise<Command> {
  const registry = new Command().description(
    'Serves a private registry and manages one, also while dray up or dray registry serve serves it.',
  );
  registry.addCommand(serveCommand());
  // What serves for months does without what manages: a client of Kubernetes, YAML and more.
  if (args[0] !== 'serve') for (const each of await managingCommands()) registry.addCommand(each);
  for (const each of registry.commands) reportThroughMain(each);
  return registry;
}

async function managingCommands(): Promise<Command[]> {
  const [
    { projectCommand, userCommand },
    { auditCommand, repositoryCommand },
    { robotCommand },
    { upkeepCommands },
  ] = await Promise.all([
    import('./registry-accounts.ts'),
    import('./registry-content.ts'),
    import('./registry-robots.ts'),
    import('./registry-upkeep.ts'),
  ]);
  return [
    checkConfigCommand(),
    userCommand(),
    robotCommand(),
    projectCommand(),
    repositoryCommand(),
    auditCommand(),
    ...upkeepCommands(),
  ];
}

/** Commander leaves the process by itself in subcommands that are not told otherwise; bad usage has an exit code of its own. */
function reportThroughMain(command: Command): void {
  command
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: () => {} });
  for (const each of command.commands) reportThroughMain(each);
}
