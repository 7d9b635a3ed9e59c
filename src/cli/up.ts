import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { isSystemError, messageOf } from '../base/coded-error.ts';
import {
  containerRuntimeEndpointOf,
  evictionFieldsOf,
  evictionTransitionPeriodOf,
  imageSettingsOf,
  parseKubeletConfiguration,
  type KubeletConfigurationDocument,
} from '../kubelet/images/configuration.ts';
import { parseEvictionThresholds } from '../kubelet/images/eviction-thresholds.ts';
import { KUBELET_FLAGS, withKubeletFlags } from '../kubelet/images/kubelet-flags.ts';
import { createLogger, type LogLevel } from '../observe/logger.ts';
import { defaultRootPath, openStateRoot } from '../daemon/state-root.ts';
import { startSystem, type System, type SystemOptions } from '../daemon/system.ts';
import { EXIT, UsageError } from './exit.ts';
import { Terminal } from './terminal.ts';

interface UpOptions {
  readonly tour?: boolean;
  readonly exit?: boolean;
  readonly root?: string;
  readonly apiPort?: number;
  readonly registryPort?: number;
  readonly enableAdmissionPlugins?: string;
  readonly admissionControlConfigFile?: string;
  readonly config?: string;
  readonly imageCredentialProviderConfig?: string;
  readonly imageCredentialProviderBinDir?: string;
  readonly logLevel: LogLevel;
}

/** Plugins of the API server that are off by default. */
const ADMISSION_PLUGINS = ['AlwaysPullImages', 'ImagePolicyWebhook'] as const;
const LOG_LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error', 'silent'];

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
      '--enable-admission-plugins <names>',
      `admission plugins that are off by default, separated by commas: ${ADMISSION_PLUGINS.join(', ')}`,
    )
    .option(
      '--admission-control-config-file <file>',
      "admission configuration in the kube-apiserver's own form, which ImagePolicyWebhook needs",
    )
    .option(
      '--config <file>',
      'KubeletConfiguration whose fields about images and eviction the node follows: verification of credentials, rate, clean-up',
    )
    .option(
      '--image-credential-provider-config <path>',
      'configuration of credential-provider plug-ins, a file or a directory',
    )
    .option('--image-credential-provider-bin-dir <directory>', 'where the plug-ins’ programs lie')
    .option(
      '--log-level <level>',
      `how much the servers tell on standard error: ${LOG_LEVELS.join(', ')}`,
      levelOf,
      'error',
    )
    .action(async (options: UpOptions) => {
      process.exitCode = await up(options, kubeletFlags(command));
    });
  for (const flag of KUBELET_FLAGS) command.option(`--${flag.name} <${flag.value}>`, flag.description);
  return command;
}

/** Collects the kubelet's own flags that were given, by name. */
function kubeletFlags(command: Command): ReadonlyMap<string, string> {
  const values = command.opts<Record<string, unknown>>();
  const given = command.options.flatMap((option): [string, string][] => {
    const value = values[option.attributeName()];
    return typeof value === 'string' ? [[option.long?.slice(2) ?? '', value]] : [];
  });
  return new Map(given);
}

async function up(options: UpOptions, flags: ReadonlyMap<string, string>): Promise<number> {
  if (process.platform !== 'linux') {
    throw new UsageError(
      `cannot run containers on ${process.platform}: dray up needs Linux, in a virtual machine if need be`,
    );
  }
  if (options.exit === true && options.tour !== true)
    throw new UsageError('--exit goes with --tour: without it there is nothing to end after');
  const { node, remarks } = await nodeOptions(options, flags);
  const started = performance.now();
  const terminal = new Terminal(process.stderr);
  for (const remark of remarks) terminal.line(`Note: ${remark}`);
  const ending = new AbortController();
  let stops = 0;
  const stop = (): void => {
    stops++;
    if (stops > 1) process.exit(EXIT.failure);
    ending.abort(new Stopped());
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
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
        admissionPlugins: pluginsOf(options.enableAdmissionPlugins),
        ...(options.admissionControlConfigFile === undefined
          ? {}
          : { admissionControlConfigFile: options.admissionControlConfigFile }),
        node,
        logger: createLogger({ level: options.logLevel, name: 'dray' }),
        remark: (text) => terminal.line(`Note: ${text}`),
      },
      ending.signal,
    );
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    terminal.line(
      `Ready in ${seconds} s: API ${system.api.url}, registry https://${system.registry.host}, node ${system.nodes.map((node) => node.name).join(', ')} (${system.nodes[0]?.description ?? ''})`,
    );
    if (options.tour === true) {
      const { runTour } = await import('./tour.ts');
      await runTour(system, terminal, ending.signal);
      terminal.line(`\n${terminal.style('green', 'The tour is complete.')}`);
      if (options.exit === true) return EXIT.ok;
    }
    terminal.line(usage(system, terminal));
    await new Promise((resolve) => ending.signal.addEventListener('abort', resolve, { once: true }));
    return EXIT.ok;
  } catch (error) {
    if (ending.signal.aborted) return options.tour === true && options.exit === true ? EXIT.failure : EXIT.ok;
    terminal.line(`${terminal.style('red', 'Failed:')} ${messageOf(error)}`);
    return EXIT.failure;
  } finally {
    terminal.progress('Stopping …');
    ending.abort(new Stopped());
    await system?.close();
    root.close();
    terminal.line('Stopped.');
  }
}

async function nodeOptions(
  options: UpOptions,
  flags: ReadonlyMap<string, string>,
): Promise<{ node: NonNullable<SystemOptions['node']>; remarks: readonly string[] }> {
  const { imageCredentialProviderConfig: configPath, imageCredentialProviderBinDir: binDirectory } = options;
  if ((configPath === undefined) !== (binDirectory === undefined)) {
    throw new UsageError(
      '--image-credential-provider-config and --image-credential-provider-bin-dir go together',
    );
  }
  const written = options.config === undefined ? {} : await readConfiguration(options.config);
  const { document, progressTimeoutMs, remarks } = withKubeletFlags(written, flags);
  // Without a word about it the node does not evict: it shares the machine, and its disk, with other work.
  const evicts =
    options.config !== undefined || Object.keys(document).some((name) => name.startsWith('eviction'));
  const imageSettings = imageSettingsOf(document);
  const runtime = containerRuntimeEndpointOf(document);
  if (runtime === '' && imageSettings.imageServiceEndpoint !== '') {
    throw new UsageError(
      '--image-service-endpoint goes with --container-runtime-endpoint: this node’s own runtime runs the images of its own store',
    );
  }
  const node = {
    imageSettings,
    ...(runtime === '' ? {} : { endpoints: { runtime, images: imageSettings.imageServiceEndpoint } }),
    ...(progressTimeoutMs === undefined ? {} : { progressTimeoutMs }),
    ...(evicts
      ? {
          eviction: {
            thresholds: parseEvictionThresholds(evictionFieldsOf(document)),
            transitionPeriod: evictionTransitionPeriodOf(document),
          },
        }
      : {}),
    ...(configPath === undefined || binDirectory === undefined
      ? {}
      : { credentialProviders: { configPath, binDirectory } }),
  };
  return { node, remarks };
}

async function readConfiguration(file: string): Promise<KubeletConfigurationDocument> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const reason = isSystemError(error, 'ENOENT') ? 'there is no such file' : messageOf(error);
    throw new UsageError(`cannot read the kubelet configuration ${JSON.stringify(file)}: ${reason}`);
  });
  return parseKubeletConfiguration(text);
}

/** Why everything ends: somebody asked for it. */
class Stopped extends Error {
  constructor() {
    super('dray was asked to stop');
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

function levelOf(text: string): string {
  if (!LOG_LEVELS.includes(text)) throw new InvalidArgumentError(`levels are ${LOG_LEVELS.join(', ')}.`);
  return text;
}

function pluginsOf(text: string | undefined): (typeof ADMISSION_PLUGINS)[number][] {
  if (text === undefined || text === '') return [];
  return text.split(',').map((name) => {
    const known = ADMISSION_PLUGINS.find((each) => each === name.trim());
    if (known === undefined)
      throw new UsageError(
        `unknown admission plugin "${name.trim()}": there are ${ADMISSION_PLUGINS.join(', ')}`,
      );
    return known;
  });
}
