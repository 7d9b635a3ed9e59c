import { Command } from 'commander';
import { findImage, newName } from './_image-names.ts';
import { withLocalStores } from './_local-stores.ts';
import { withRoot } from './_options.ts';
import { EXIT } from './exit.ts';

interface TagOptions {
  readonly root?: string;
}

export function command(): Command {
  return withRoot(
    new Command()
      .description('Gives an image of the store another name.')
      .argument('<image>', 'name or ID')
      .argument('<name>', 'the new name, such as registry.example/team/app:v1'),
  ).action(async (image: string, name: string, options: TagOptions) => {
    process.exitCode = await tag(image, name, options);
  });
}

async function tag(text: string, to: string, options: TagOptions): Promise<number> {
  const target = newName(to);
  await withLocalStores({ options, command: 'dray tag' }, async ({ images }) => {
    const { image, name } = await findImage(images, text);
    await images.tag(name ?? image.id, target);
  });
  process.stdout.write(`${target}\n`);
  return EXIT.ok;
}
