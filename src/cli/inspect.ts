import { Command } from 'commander';
import { hostPlatform } from '../oci/host-platform.ts';
import { MAX_CONFIG_BYTES, parseImageConfig } from '../oci/image-config.ts';
import { MAX_MANIFEST_BYTES, parseManifest, type Manifest } from '../oci/manifest.ts';
import { fallbackMatcher } from '../oci/platform-matcher.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { chooseManifest } from '../oci/choose-manifest.ts';
import type { CopySource } from '../pull/copy/endpoint.ts';
import { registrySource } from '../pull/copy/registry-endpoint.ts';
import { storeSource } from '../pull/copy/store-endpoint.ts';
import { parseDockerReference } from '../oci/reference.ts';
import { openRemote, userCredentials, type RemoteOptions } from './_client-remote.ts';
import { findImage, fullName } from './_image-names.ts';
import { withLocalStores } from './_local-stores.ts';
import { formatOutput, outputFormat, withOutput, type OutputFormat } from './_output.ts';
import { interruptible } from './_interruptible.ts';
import { withRemoteOptions } from './_options.ts';
import { platformOption } from './_platform-option.ts';
import { advising } from './_registry-advice.ts';
import { EXIT, UsageError } from './exit.ts';

interface InspectOptions extends RemoteOptions {
  readonly output?: string;
  readonly remote?: boolean;
  readonly raw?: boolean;
  readonly config?: boolean;
  readonly manifest?: boolean;
  readonly platform?: string;
}

const FORMATS: readonly OutputFormat[] = ['json', 'yaml', 'name', 'jsonpath=TEMPLATE'];

export function command(): Command {
  return withRemoteOptions(
    withOutput(
      new Command()
        .description(
          'Tells what an image is, from the store of this machine or, with --remote, from its registry.',
        )
        .argument('<image>', 'name; for the store also an ID')
        .option('--remote', 'ask the registry; no layer is pulled and the store is not opened')
        .option('--raw', 'print what the name points at, byte for byte: an index or a manifest')
        .option('--manifest', 'print the manifest of the platform, byte for byte')
        .option('--config', 'print the config of the platform, byte for byte')
        .option('--platform <platform>', 'os/architecture[/variant] (default: this machine’s)'),
      FORMATS,
    ),
  ).action(async (image: string, options: InspectOptions) => {
    process.exitCode = await inspect(image, options);
  });
}

async function inspect(text: string, options: InspectOptions): Promise<number> {
  const parts = [options.raw, options.manifest, options.config].filter((each) => each === true);
  if (parts.length > 1) throw new UsageError('--raw, --manifest and --config: one of them');
  const format = outputFormat(options.output, FORMATS);
  const signal = interruptible();
  if (options.remote !== true) {
    return withLocalStores({ options, command: 'dray inspect', signal }, async ({ content, images }) => {
      const { image, name } = await findImage(images, text);
      const source = await storeSource({ content, images, name: name ?? image.id });
      return print(await source.resolve(signal), source, name ?? image.id, options, format, signal);
    });
  }
  const name = fullName(text);
  const remote = openRemote(options);
  try {
    const credentials = userCredentials(options, signal);
    const source = registrySource({ remote, reference: text, credentials });
    return await advising(parseDockerReference(text).domain, async () =>
      print(await source.resolve(signal), source, name, options, format, signal),
    );
  } finally {
    await remote.close();
  }
}

async function print(
  root: Descriptor,
  source: CopySource,
  name: string,
  options: InspectOptions,
  format: OutputFormat,
  signal: AbortSignal,
): Promise<number> {
  const document = (descriptor: Descriptor): Promise<Buffer> =>
    source.document(descriptor, MAX_MANIFEST_BYTES, signal);
  const rootBytes = await document(root);
  if (options.raw === true) return write(rootBytes);
  const platform = platformOption(options.platform) ?? hostPlatform();
  const { descriptor, manifest } = await chooseManifest(root, fallbackMatcher(platform), {
    manifest: async (each) =>
      parseManifest(each.digest === root.digest ? rootBytes : await document(each), each.mediaType),
    config: async (each) => parseImageConfig(await source.document(each, MAX_CONFIG_BYTES, signal)),
  });
  if (options.manifest === true) return write(await document(descriptor));
  const configBytes = await source.document(manifest.config, MAX_CONFIG_BYTES, signal);
  if (options.config === true) return write(configBytes);
  const data = {
    name,
    id: manifest.config.digest,
    target: root,
    platforms: platformsOf(parseManifest(rootBytes, root.mediaType)),
    manifest: descriptor,
    layers: manifest.layers,
    size: manifest.layers.reduce((sum, { size }) => sum + size, manifest.config.size),
    config: JSON.parse(configBytes.toString('utf8')) as unknown,
  };
  return write(Buffer.from(formatOutput({ data, names: [data.id], table: [] }, format)));
}

/** Lists the platforms of an index; nothing for a manifest. */
function platformsOf(manifest: Manifest): string[] {
  if (manifest.kind !== 'index') return [];
  return manifest.manifests.flatMap(({ platform }) =>
    platform === undefined || platform.os === 'unknown'
      ? []
      : [[platform.os, platform.architecture, platform.variant].filter(Boolean).join('/')],
  );
}

function write(bytes: Buffer): number {
  process.stdout.write(bytes);
  return EXIT.ok;
}
