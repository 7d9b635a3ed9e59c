import { Command } from 'commander';
import { freeStartMemory } from '../base/free-start-memory.ts';
import { messageOf } from '../base/coded-error.ts';
import { openNodeMembership, requireSystem } from '../daemon/node-membership.ts';
import { startNode, type NodeAgent } from '../daemon/node-agent.ts';
import { nodeRootOf } from '../daemon/system-nodes.ts';
import { defaultRootPath, openStateRoot } from '../daemon/state-root.ts';
import { createLogger, type LogLevel } from '../observe/logger.ts';
import { machineName, nodeNameOf, nodePlatformOf } from './_node-names.ts';
import { nodeSettings, withNodeSettings, type NodeSettingsOptions } from './_node-settings.ts';
import { withLogLevel, withRoot } from './_options.ts';
import { stopOnSignals, untilStopped } from './_stopping.ts';
import { EXIT, UsageError } from './exit.ts';
import { Terminal } from './terminal.ts';

interface NodeCommandOptions extends NodeSettingsOptions {
  readonly root?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly join?: string;
  readonly standalone?: boolean;
  readonly nodeName?: string;
  readonly platform?: string;
  readonly logLevel: LogLevel;
}

export function command(): Command {
  const command = new Command()
    .description(
      'Runs a node alone, until Ctrl-C: of the cluster that --kubeconfig or --join names, or of none, with static Pods and its images over CRI.',
    )
    .option('--kubeconfig <file>', 'how the cluster’s API is reached, as the user system:node:NAME')
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
    .option(
      '--join <directory>',
      'root of a dray up of this machine: its address and authority are taken from there',
    )
    .option('--standalone', 'belong to no cluster: run static Pods and serve images over CRI')
    .option('--node-name <name>', 'name of the node (default: the machine’s)')
    .option(
      '--platform <os/arch[/variant]>',
      'what the node claims to be and pulls for (default: what the machine is)',
    )
    .action(async (options: NodeCommandOptions) => {
      process.exitCode = await run(options, command);
    });
  return withLogLevel(withNodeSettings(withRoot(command)));
}

async function run(options: NodeCommandOptions, command: Command): Promise<number> {
  if (process.platform !== 'linux')
    throw new UsageError(`cannot run containers on ${process.platform}: dray node needs Linux`);
  const ways = [options.kubeconfig, options.join, options.standalone].filter((way) => way !== undefined);
  if (ways.length !== 1) {
    throw new UsageError(
      'a node belongs to one cluster or to none: say one of --kubeconfig FILE, --join DIRECTORY, --standalone',
    );
  }
  if (options.context !== undefined && options.kubeconfig === undefined)
    throw new UsageError('--context goes with --kubeconfig');
  const name = nodeNameOf(options.nodeName ?? machineName());
  const platform = options.platform === undefined ? undefined : nodePlatformOf(options.platform);
  const { node: settings, remarks } = await nodeSettings(options, command);
  if (options.join !== undefined) await requireSystem(options.join);
  const started = performance.now();
  const terminal = new Terminal(process.stderr);
  for (const remark of remarks) terminal.line(`Note: ${remark}`);
  const ending = stopOnSignals();
  const rootPath =
    options.root ?? (options.join === undefined ? defaultRootPath() : nodeRootOf(options.join, name));
  const root = await openStateRoot(rootPath, 'dray node');
  const closers: (() => Promise<void>)[] = [() => Promise.resolve(root.close())];
  try {
    terminal.progress('Starting …');
    const membership = await openNodeMembership({ ...options, name, nodeRoot: root.path });
    closers.push(() => membership.close());
    const node = await startNode(
      {
        ...settings,
        ...membership.access,
        name,
        ...(platform === undefined ? {} : { platform }),
        root: root.path,
        logger: createLogger({ level: options.logLevel, name: 'dray' }),
        remark: (text) => terminal.line(`Note: ${text}`),
      },
      ending.signal,
    );
    closers.push(() => node.close());
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    terminal.line(`Ready in ${seconds} s: ${tell(node, membership.description)}`);
    freeStartMemory();
    await untilStopped(ending.signal);
    return EXIT.ok;
  } catch (error) {
    if (ending.signal.aborted) return EXIT.ok;
    terminal.line(`${terminal.style('red', 'Failed:')} ${messageOf(error)}`);
    return EXIT.failure;
  } finally {
    terminal.progress('Stopping …');
    ending.abort();
    for (const close of closers.reverse()) await close();
    terminal.line('Stopped.');
  }
}

function tell({ name, description, criEndpoint }: NodeAgent, cluster: string): string {
  const images = criEndpoint === undefined ? '' : `, images at ${criEndpoint}`;
  return `node ${name} (${description}) of ${cluster}${images}`;
}
