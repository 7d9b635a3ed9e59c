import { InvalidArgumentError, type Command } from 'commander';

/** Adds the options by which every client command reaches a registry. */
export function withRemoteOptions(command: Command): Command {
  const collect = (value: string, earlier: string[] | undefined): string[] => [...(earlier ?? []), value];
  return command
    .option(
      '--cert-dir <directory>',
      'directory in the form of certs.d: HOST:PORT/ca.crt or HOST:PORT/hosts.toml',
    )
    .option(
      '--insecure-registry <host>',
      'speak plain http, or TLS without checking, with this registry; may be repeated',
      collect,
    )
    .option('--authfile <file>', 'login file to use instead of docker’s and podman’s own')
    .option(...ROOT_OPTION);
}

const ROOT_OPTION = [
  '--root <directory>',
  'where state is kept (default: $DRAYAGE_ROOT, /var/lib/drayage or ~/.local/share/drayage)',
] as const;

/** Adds the option that names the store, for commands that ask no registry. */
export function withRoot(command: Command): Command {
  return command.option(...ROOT_OPTION);
}

const LOG_LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error', 'silent'];

/** Adds how much a command that serves tells on standard error. */
export function withLogLevel(command: Command): Command {
  return command.option(
    '--log-level <level>',
    `how much the servers tell on standard error: ${LOG_LEVELS.join(', ')}`,
    (text: string) => {
      if (!LOG_LEVELS.includes(text)) throw new InvalidArgumentError(`levels are ${LOG_LEVELS.join(', ')}.`);
      return text;
    },
    'error',
  );
}
