import { Command } from 'commander';
import { freeStartMemory } from '../base/free-start-memory.ts';
import { createLogger, type LogLevel } from '../observe/logger.ts';
import { interruptible } from './_interruptible.ts';
import { readConfig, registryOptions, withDirectory, type DirectoryOptions } from './_registry-directory.ts';
import { EXIT, UsageError } from './exit.ts';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
const USUAL_PORT = 5000;

interface ServeOptions extends DirectoryOptions {
  readonly port?: string;
  readonly host?: string;
  readonly logLevel: string;
}

/** `dray registry serve`. */
export function serveCommand(): Command {
  return withDirectory(
    new Command('serve').description('Serves a registry until Ctrl-C; uploads under way may finish.'),
  )
    .option('--host <address>', 'address to listen on (default: the configured one, else 127.0.0.1)')
    .option('--port <port>', 'port to listen on; 0 takes any (default: the configured one, else 5000)')
    .option('--log-level <level>', `how much it tells on standard error: ${LOG_LEVELS.join(', ')}`, 'info')
    .action(async (options: ServeOptions) => {
      process.exitCode = await serve(options);
    });
}

async function serve(options: ServeOptions): Promise<number> {
  const level: LogLevel | undefined = LOG_LEVELS.find((each) => each === options.logLevel);
  if (level === undefined)
    throw new UsageError(`unknown log level "${options.logLevel}": there are ${LOG_LEVELS.join(', ')}`);
  const configured = await registryOptions(options);
  const port = options.port === undefined ? (configured.port ?? USUAL_PORT) : Number(options.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UsageError(`--port "${options.port}" is no port`);
  const signal = interruptible();
  const { createRegistry } = await import('../registry/registry.ts');
  const registry = await createRegistry({
    ...configured,
    port,
    ...(options.host === undefined ? {} : { host: options.host }),
    logger: createLogger({ level, name: 'registry' }),
  });
  process.stdout.write(`${registry.url}\n`);
  freeStartMemory();
  try {
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  } finally {
    await registry.close();
  }
  return EXIT.ok;
}

/** `dray registry check-config`. */
export function checkConfigCommand(): Command {
  return new Command('check-config')
    .description('Says everything that is wrong in a configuration file, and starts nothing.')
    .argument('<file>', 'configuration file')
    .option('-o, --output <format>', 'text or json', 'text')
    .action(async (file: string, options: { output: string }) => {
      if (options.output !== 'text' && options.output !== 'json')
        throw new UsageError(`unknown output format "${options.output}": there are text, json`);
      const { findings } = await readConfig(file);
      const text = findings.map(
        ({ level, at, message }) => `${level}: ${at === '' ? '' : `${at}: `}${message}\n`,
      );
      process.stdout.write(
        options.output === 'json'
          ? `${JSON.stringify(findings, undefined, 2)}\n`
          : text.length === 0
            ? 'nothing is wrong\n'
            : text.join(''),
      );
      process.exitCode = findings.some(({ level }) => level === 'error') ? EXIT.failure : EXIT.ok;
    });
}
