import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { fileProblem } from '../base/file-problem.ts';
import type { NodeSettings } from '../daemon/system-nodes.ts';
import {
  containerRuntimeEndpointOf,
  evictionFieldsOf,
  evictionMaxPodGracePeriodOf,
  evictionTransitionPeriodOf,
  imageSettingsOf,
  parseKubeletConfiguration,
  staticPodPathOf,
} from '../kubelet/images/configuration.ts';
import type { KubeletConfigurationDocument } from '../kubelet/images/configuration-fields.ts';
import { parseEvictionThresholds } from '../kubelet/images/eviction-thresholds.ts';
import { KUBELET_FLAGS, withKubeletFlags } from '../kubelet/images/kubelet-flags.ts';
import { plainPortsOf } from '../kubelet/server/plain-ports.ts';
import { transferLimits, withTransferLimits, type TransferOptions } from './_transfer-limits.ts';
import { UsageError } from './exit.ts';

/** What a command that runs a node was told of it. */
export interface NodeSettingsOptions extends TransferOptions {
  readonly config?: string;
  readonly imageCredentialProviderConfig?: string;
  readonly imageCredentialProviderBinDir?: string;
}

/** Adds what configures a node: the kubelet's configuration, its flags, credential providers. */
export function withNodeSettings(command: Command): Command {
  command
    .option(
      '--config <file>',
      'KubeletConfiguration whose fields about images, eviction and static Pods the node follows',
    )
    .option(
      '--image-credential-provider-config <path>',
      'configuration of credential-provider plug-ins, a file or a directory',
    )
    .option('--image-credential-provider-bin-dir <directory>', 'where the plug-ins’ programs lie');
  for (const flag of KUBELET_FLAGS) command.option(`--${flag.name} <${flag.value}>`, flag.description);
  return withTransferLimits(command);
}

/** Collects the kubelet's own flags that were given, by name. */
function kubeletFlags(command: Command): ReadonlyMap<string, string> {
  const values = command.opts<Record<string, unknown>>();
  const names = new Set(KUBELET_FLAGS.map(({ name }) => name));
  const given = command.options.flatMap((option): [string, string][] => {
    const name = option.long?.slice(2) ?? '';
    const value = values[option.attributeName()];
    return names.has(name) && typeof value === 'string' ? [[name, value]] : [];
  });
  return new Map(given);
}

/**
 * Reads what was said, and returns remarks about flags that have another name today.
 *
 * @throws UsageError, ConfigurationError
 */
export async function nodeSettings(
  options: NodeSettingsOptions,
  command: Command,
): Promise<{ node: NodeSettings; remarks: readonly string[] }> {
  const { imageCredentialProviderConfig: configPath, imageCredentialProviderBinDir: binDirectory } = options;
  if ((configPath === undefined) !== (binDirectory === undefined)) {
    throw new UsageError(
      '--image-credential-provider-config and --image-credential-provider-bin-dir go together',
    );
  }
  const written = options.config === undefined ? {} : await readConfiguration(options.config);
  const { document, progressTimeoutMs, remarks } = withKubeletFlags(written, kubeletFlags(command));
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
  const staticPods = staticPodPathOf(document);
  const node = {
    imageSettings,
    ...(runtime === '' ? {} : { endpoints: { runtime, images: imageSettings.imageServiceEndpoint } }),
    ...(progressTimeoutMs === undefined ? {} : { progressTimeoutMs }),
    ...(staticPods === '' ? {} : { staticPods }),
    plainPorts: plainPortsOf(document),
    transfers: transferLimits(options),
    ...(evicts
      ? {
          eviction: {
            thresholds: parseEvictionThresholds(evictionFieldsOf(document)),
            transitionPeriod: evictionTransitionPeriodOf(document),
            maxPodGraceSeconds: evictionMaxPodGracePeriodOf(document),
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
    throw new UsageError(
      `cannot read the kubelet configuration ${JSON.stringify(file)}: ${fileProblem(error)}`,
    );
  });
  return parseKubeletConfiguration(text);
}
