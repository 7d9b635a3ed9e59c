import { Command, InvalidArgumentError } from 'commander';
import { createIndex } from '../pull/copy/create-index.ts';
import { findImage, newName } from './_image-names.ts';
import { withLocalStores } from './_local-stores.ts';
import { interruptible } from './_interruptible.ts';
import { withRoot } from './_options.ts';
import { EXIT } from './exit.ts';

interface IndexOptions {
  readonly root?: string;
  readonly annotation?: Readonly<Record<string, string>>;
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
      .argument('<image...>', 'images of the store, one for each platform; of an index all that it lists')
      .option(
        '--annotation <key=value>',
        'something to say of the index, such as org.opencontainers.image.version=1.2; may be repeated',
        annotation,
      ),
  ).action(async (name: string, images: string[], options: IndexOptions) => {
    process.exitCode = await create(name, images, options);
  });
  return index;
}

function annotation(text: string, earlier: Record<string, string> | undefined): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('it has to be KEY=VALUE.');
  return { ...earlier, [text.slice(0, equals)]: text.slice(equals + 1) };
}

async function create(name: string, sources: readonly string[], options: IndexOptions): Promise<number> {
  const full = newName(name);
  const signal = interruptible();
  const root = await withLocalStores(
    { options, command: 'dray index create', signal },
    async ({ content, images }) => {
      for (const source of sources) await findImage(images, source);
      const { annotation: annotations } = options;
      return createIndex({
        content,
        images,
        name,
        sources,
        signal,
        ...(annotations === undefined ? {} : { annotations }),
      });
    },
  );
  process.stdout.write(`${full}@${root.digest}\n`);
  return EXIT.ok;
}
