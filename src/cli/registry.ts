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
