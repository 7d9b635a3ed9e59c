import { Command, InvalidArgumentError } from 'commander';
import { messageOf } from '../base/coded-error.ts';
import { createLogger, type LogLevel } from '../observe/logger.ts';
import { defaultRootPath, openStateRoot } from '../daemon/state-root.ts';
import { startSystem, type System } from '../daemon/system.ts';
import { moreNodesOf, nodeCountOf } from './_node-names.ts';
import { nodeSettings, withNodeSettings, type NodeSettingsOptions } from './_node-settings.ts';
import { withLogLevel } from './_options.ts';
import { stopOnSignals, untilStopped } from './_stopping.ts';
import { apiSettings, withApiSettings, type ApiFlags } from './_api-settings.ts';
import { freeStartMemory } from '../base/free-start-memory.ts';
import { EXIT, UsageError } from './exit.ts';
import { Terminal } from './terminal.ts';

interface UpOptions extends NodeSettingsOptions, ApiFlags {
  readonly tour?: boolean;
  readonly exit?: boolean;
  readonly root?: string;
  readonly apiPort?: number;
  readonly registryPort?: number;
  readonly apiPlainPort?: number;
  readonly nodes?: string;
  readonly node?: readonly string[];
  readonly logLevel: LogLevel;
}

export function command(): Command {
  const command = new Command()
    .description(
      'Runs the whole system on this machine: Kubernetes API, node and private registry, until Ctrl-C.',
    )
    .option(
      '--tour',
      'run the acceptance check on it: a private image, a pull secret, a Pod that prints SUCCESS',
    )
    .option('--exit', 'with --tour: end after it, with exit code 0 when all went well')
    .option(
      '--root <directory>',
      'where state is kept (default: $DRAYAGE_ROOT, /var/lib/drayage or ~/.local/share/drayage)',
    )
    .option(
      '--api-port <port>',
      'port of the Kubernetes API; 0 takes any (default: that of last time, else 6443)',
      portOf,
    )
    .option(
      '--registry-port <port>',
      'port of the registry; 0 takes any (default: that of last time, else 5000)',
      portOf,
    )
    .option(
      '--api-plain-port <port>',
      'serve the API without TLS too, on this port of 127.0.0.1, to every process of the same user as administrator (see dray kubeconfig --plain); 0 takes any',
      portOf,
    )
    .option('--nodes <count>', 'how many nodes there are, the machine’s own among them (default: 1)')
    .option(
      '--node <name[:os/arch[/variant]]>',
      'a further node, of another platform perhaps: arm64:linux/arm64/v8; may be repeated',
      (value: string, earlier: string[] | undefined) => [...(earlier ?? []), value],
    )
    .action(async (options: UpOptions) => {
      process.exitCode = await up(options, command);
    });
  return withLogLevel(withNodeSettings(withApiSettings(command)));
}

async function up(options: UpOptions, command: Command): Promise<number> {
  if (process.platform !== 'linux') {
    throw new UsageError(
      `cannot run containers on ${process.platform}: dray up needs Linux, in a virtual machine if need be`,
    );
  }
  if (options.exit === true && options.tour !== true)
    throw new UsageError('--exit goes with --tour: without it there is nothing to end after');
  const api = apiSettings(options);
  const moreNodes = moreNodesOf(nodeCountOf(options.nodes ?? '1'), options.node ?? []);
  const { node, remarks } = await nodeSettings(options, command);
  const started = performance.now();
  const terminal = new Terminal(process.stderr);
  for (const remark of remarks) terminal.line(`Note: ${remark}`);
  const ending = stopOnSignals();
  const root = await openStateRoot(
    options.root ?? defaultRootPath(),
    options.tour === true ? 'dray up --tour' : 'dray up',
  );
  let system: System | undefined;
  try {
    terminal.progress('Starting …');
    system = await startSystem(
      {
        root,
        ...(options.apiPort === undefined ? {} : { apiPort: options.apiPort }),
        ...(options.registryPort === undefined ? {} : { registryPort: options.registryPort }),
        ...(options.apiPlainPort === undefined ? {} : { plainApiPort: options.apiPlainPort }),
        ...api,
        node,
        moreNodes,
        logger: createLogger({ level: options.logLevel, name: 'dray' }),
        remark: (text) => terminal.line(`Note: ${text}`),
      },
      ending.signal,
    );
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const nodes = system.nodes.map(({ name, description }) => `${name} (${description})`);
    terminal.line(
      `Ready in ${seconds} s: API ${system.api.url}, registry https://${system.registry.host}, ${nodes.length === 1 ? 'node' : 'nodes'} ${nodes.join(', ')}`,
    );
    if (options.tour === true) {
      const { runTour } = await import('./tour.ts');
      await runTour(system, terminal, ending.signal);
      terminal.line(`\n${terminal.style('green', 'The tour is complete.')}`);
      if (options.exit === true) return EXIT.ok;
    }
    freeStartMemory();
    terminal.line(usage(system, terminal));
    await untilStopped(ending.signal);
    return EXIT.ok;
  } catch (error) {
    if (ending.signal.aborted) return options.tour === true && options.exit === true ? EXIT.failure : EXIT.ok;
    terminal.line(`${terminal.style('red', 'Failed:')} ${messageOf(error)}`);
    return EXIT.failure;
  } finally {
    terminal.progress('Stopping …');
    ending.abort();
    await system?.close();
    root.close();
    terminal.line('Stopped.');
  }
}

function usage(system: System, terminal: Terminal): string {
  const bold = (text: string): string => terminal.style('bold', text);
  return `
Use it:
  ${bold(`export KUBECONFIG=${system.kubeconfig}`)}
  kubectl get pods -A

Push to the registry at ${system.registry.host} (its authority: ${system.caFile}):
  ${bold(`docker login ${system.registry.host} -u admin --password-stdin < ${system.registry.passwordFile}`)}
  skopeo copy --dest-cert-dir ${system.certsDirectory} docker-archive:app.tar docker://${system.registry.host}/team/app:v1

Ctrl-C stops it; containers and everything pushed stay for the next start.`;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new InvalidArgumentError('a port is a number from 0 to 65535.');
  return port;
}
