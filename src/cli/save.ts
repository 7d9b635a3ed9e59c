import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import type { ImageStores } from '../daemon/stores/image-stores.ts';
import { hostPlatform } from '../oci/host-platform.ts';
import type { Platform } from '../oci/platform.ts';
import { saveArchive, type SavedImage } from '../pull/copy/save-archive.ts';
import { describeImage, imageFor, storeSource } from '../pull/copy/store-endpoint.ts';
import { findImage } from './_image-names.ts';
import { withLocalStores } from './_local-stores.ts';
import { interruptible } from './_interruptible.ts';
import { withRoot } from './_options.ts';
import { platformOption } from './_platform-option.ts';
import { writeWholeFile } from './_whole-file.ts';
import { EXIT, UsageError } from './exit.ts';

interface SaveOptions {
  readonly root?: string;
  readonly output?: string;
  readonly platform?: string;
  readonly without?: readonly string[];
}

export function command(): Command {
  return withRoot(
    new Command()
      .description(
        'Writes images of the store to one archive: an OCI layout that docker, podman and containerd load too.',
      )
      .argument('<image...>', 'names or IDs')
      .option('-o, --output <file>', 'file to write (default: standard output)')
      .option(
        '--without <image>',
        'leave out layers that this image of the store has, for a place that has it too; may be repeated',
        (name: string, earlier: readonly string[] | undefined) => [...(earlier ?? []), name],
      )
      .option('--platform <platform>', 'only the image for this platform (default: all that are held)'),
  ).action(async (images: string[], options: SaveOptions) => {
    process.exitCode = await save(images, options);
  });
}

async function save(names: readonly string[], options: SaveOptions): Promise<number> {
  const { output } = options;
  if (output === undefined && process.stdout.isTTY)
    throw new UsageError('an archive is not for a terminal: name a file with --output');
  const platform = platformOption(options.platform);
  const signal = interruptible();
  await withLocalStores({ options, command: 'dray save', serves: true, signal }, async (stores) => {
    const images: SavedImage[] = [];
    for (const name of names) images.push(await chosen(stores, name, platform, signal));
    const leftOut = new Set<string>();
    for (const name of options.without ?? []) {
      const { image } = await findImage(stores.images, name);
      for (const { digest } of image.layers) leftOut.add(digest);
    }
    const archive = saveArchive(stores.content, images, signal, leftOut);
    if (output === undefined) await pipeline(Readable.from(archive), process.stdout, { signal });
    else await writeWholeFile(output, archive, signal);
  });
  return EXIT.ok;
}

async function chosen(
  { content, images }: ImageStores,
  text: string,
  platform: Platform | undefined,
  signal: AbortSignal,
): Promise<SavedImage> {
  const { image, name } = await findImage(images, text);
  const source = await storeSource({ content, images, name: name ?? image.id });
  const root = await source.resolve(signal);
  const names = name === undefined ? image.repoTags : [name];
  if (platform !== undefined) {
    const manifest = await imageFor(content, root, platform, signal);
    return { root: manifest, manifest, names };
  }
  const { manifest } = await describeImage(content, root, hostPlatform(), signal);
  return { root, manifest, names };
}
