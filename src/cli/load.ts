import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { ArchiveError } from '../archive/archive-error.ts';
import { isSystemError } from '../base/coded-error.ts';
import type { ImageStores } from '../daemon/stores/image-stores.ts';
import type { Platform } from '../oci/platform.ts';
import { copyImage } from '../pull/copy/copy-image.ts';
import { layoutEntries, layoutSource, REF_NAME } from '../pull/copy/layout-endpoint.ts';
import { loadArchive } from '../pull/copy/load-archive.ts';
import { storeTarget } from '../pull/copy/store-endpoint.ts';
import { fullName, newName } from './_image-names.ts';
import { withLocalStores } from './_local-stores.ts';
import { interruptible } from './_interruptible.ts';
import { withRoot } from './_options.ts';
import { platformOption } from './_platform-option.ts';
import { readFileOf } from './_whole-file.ts';
import { EXIT, UsageError } from './exit.ts';

interface LoadOptions {
  readonly root?: string;
  readonly input?: string;
  readonly name?: string;
  readonly platform?: string;
}

export function command(): Command {
  return withRoot(
    new Command()
      .description(
        'Takes images into the store of this machine: from an archive of docker, podman or skopeo, plain or compressed, or from an OCI layout.',
      )
      .option('-i, --input <path>', 'archive, or directory of an OCI layout (default: standard input)')
      .option('--name <name>', 'name for an image that has none of its own')
      .option('--platform <platform>', 'which image of several is this machine’s'),
  ).action(async (options: LoadOptions) => {
    process.exitCode = await load(options);
  });
}

async function load(options: LoadOptions): Promise<number> {
  const { input } = options;
  if (input === undefined && process.stdin.isTTY)
    throw new UsageError('an archive is wanted on standard input, or a file named with --input');
  if (options.name !== undefined) newName(options.name);
  const platform = platformOption(options.platform);
  const signal = interruptible();
  const names = await withLocalStores(
    { options, command: 'dray load', serves: true, signal },
    async (stores) => {
      if (input !== undefined && (await isDirectory(input)))
        return loadLayout(stores, input, { name: options.name, platform }, signal);
      const source = input === undefined ? process.stdin : readFileOf(input);
      const { content, images } = stores;
      const request = { content, images, source, name: options.name, platform, signal };
      const loaded = await loadArchive(request).catch((error: unknown) => {
        if (!(error instanceof ArchiveError) || error.code !== 'BAD_ARCHIVE') throw error;
        const what = input === undefined ? 'standard input' : JSON.stringify(input);
        throw new ArchiveError('BAD_ARCHIVE', `cannot load ${what}: ${error.message}`, { cause: error });
      });
      return loaded.flatMap((image) => (image.names.length > 0 ? image.names : [image.imageId]));
    },
  );
  for (const name of names) process.stdout.write(`Loaded: ${name}\n`);
  return EXIT.ok;
}

/** Loads every image that a layout names. */
async function loadLayout(
  { content, images }: ImageStores,
  directory: string,
  { name, platform }: { name: string | undefined; platform: Platform | undefined },
  signal: AbortSignal,
): Promise<string[]> {
  const entries = await layoutEntries(directory);
  const loaded: string[] = [];
  for (const { annotations } of entries) {
    const own = annotations?.[REF_NAME];
    // A tag alone names no image.
    const given = own !== undefined && /[/:]/.test(own) ? own : entries.length === 1 ? name : undefined;
    if (given === undefined) {
      throw new UsageError(
        `an image of ${JSON.stringify(directory)} has no full name (${own ?? 'none at all'}): copy it with dray copy oci:${directory}${own === undefined ? '' : `:${own}`} store:NAME`,
      );
    }
    const target = await storeTarget({
      content,
      images,
      name: given,
      ...(platform === undefined ? {} : { platform }),
    });
    await copyImage({ source: layoutSource(directory, own), target, signal });
    loaded.push(fullName(given));
  }
  return loaded;
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    throw new UsageError(`cannot load ${JSON.stringify(path)}: there is no such file`);
  }
}
