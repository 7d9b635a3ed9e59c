import { Command } from 'commander';
import type { ImageStores } from '../daemon/stores/image-stores.ts';
import { findImage } from './_image-names.ts';
import { withLocalStores } from './_local-stores.ts';
import { formatBytes } from './_output.ts';
import { interruptible } from './_interruptible.ts';
import { withRoot } from './_options.ts';
import { EXIT, UsageError } from './exit.ts';

interface RemoveOptions {
  readonly root?: string;
  readonly force?: boolean;
  readonly gc: boolean;
}

export function command(): Command {
  return withRoot(
    new Command()
      .description('Removes names of images, and images that have no name left with what only they need.')
      .argument('<image...>', 'names, IDs or beginnings of IDs')
      .option('-f, --force', 'remove by ID also an image of several names')
      .option('--no-gc', 'leave the content for the next dray gc'),
  ).action(async (names: string[], options: RemoveOptions) => {
    process.exitCode = await remove(names, options);
  });
}

async function remove(names: readonly string[], options: RemoveOptions): Promise<number> {
  const signal = interruptible();
  await withLocalStores({ options, command: 'dray rmi', signal }, async (stores) => {
    for (const name of names) await removeOne(stores, name, options.force === true);
    if (!options.gc) return;
    const steps = await stores.collect({}, signal);
    const freed = steps.reduce((sum, step) => sum + step.freedBytes, 0);
    process.stderr.write(`${formatBytes(freed)} freed\n`);
  });
  return EXIT.ok;
}

async function removeOne({ images }: ImageStores, text: string, force: boolean): Promise<void> {
  const { image, name } = await findImage(images, text);
  if (name !== undefined) {
    await images.removeName(name);
    process.stdout.write(`Untagged: ${name}\n`);
    const left = await images.find(image.id);
    if (left === undefined) process.stdout.write(`Deleted: ${image.id}\n`);
    // What is left are names by digest of repositories that no tag leads to any more: nobody would miss them.
    if (left === undefined || left.repoTags.length > 0 || name.includes('@')) return;
  } else if (image.repoTags.length > 1 && !force) {
    throw new UsageError(
      `image ${image.id} has several names (${image.repoTags.join(', ')}): remove them one by one, or all with --force`,
    );
  }
  await images.removeImage(image.id);
  process.stdout.write(`Deleted: ${image.id}\n`);
}
