import { Command } from 'commander';
import { createIndex } from '../pull/copy/create-index.ts';
import { findImage, fullName } from './_image-names.ts';
import { withLocalStores } from './_local-stores.ts';
import { interruptible } from './_interruptible.ts';
import { withRoot } from './_options.ts';
import { EXIT } from './exit.ts';

interface IndexOptions {
  readonly root?: string;
}

export function command(): Command {
  const index = new Command().description('Makes images for several platforms one name.');
  withRoot(
    index
      .command('create')
      .description(
        'Makes an index of images in the store of this machine; dray push sends it with all of them.',
      )
      .argument('<name>', 'name of the index')
      .argument('<image...>', 'images of the store, one for each platform; of an index all that it lists'),
  ).action(async (name: string, images: string[], options: IndexOptions) => {
    process.exitCode = await create(name, images, options);
  });
  return index;
}

async function create(name: string, sources: readonly string[], options: IndexOptions): Promise<number> {
  const full = fullName(name);
  const signal = interruptible();
  const root = await withLocalStores(
    { options, command: 'dray index create', signal },
    async ({ content, images }) => {
      for (const source of sources) await findImage(images, source);
      return createIndex({ content, images, name, sources, signal });
    },
  );
  process.stdout.write(`${full}@${root.digest}\n`);
  return EXIT.ok;
}
