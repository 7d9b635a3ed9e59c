import { Command } from 'commander';
import { projectCommand, userCommand } from './registry-accounts.ts';
import { robotCommand } from './registry-robots.ts';
import { checkConfigCommand, serveCommand } from './registry-serve.ts';
import { upkeepCommands } from './registry-upkeep.ts';

/** Serves a private registry and manages one, whether or not it is served meanwhile. */
export function command(): Command {
  const registry = new Command().description(
    'Serves a private registry and manages one, also while dray up or dray registry serve serves it.',
  );
  for (const each of [
    serveCommand(),
    checkConfigCommand(),
    userCommand(),
    robotCommand(),
    projectCommand(),
    ...upkeepCommands(),
  ])
    registry.addCommand(each);
  for (const each of registry.commands) reportThroughMain(each);
  return registry;
}

/** Commander leaves the process by itself in subcommands that are not told otherwise; bad usage has an exit code of its own. */
function reportThroughMain(command: Command): void {
  command
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: () => {} });
  for (const each of command.commands) reportThroughMain(each);
}
