import { Command } from 'commander';
import { shortTag } from './_image-names.ts';
import { withLocalStores } from './_local-stores.ts';
import { formatAge, formatBytes, formatOutput, outputFormat, withOutput } from './_output.ts';
import { withRoot } from './_options.ts';
import { EXIT } from './exit.ts';

interface ImagesOptions {
  readonly root?: string;
  readonly output?: string;
}

export function command(): Command {
  return withRoot(
    withOutput(new Command().description('Lists the images in the store of this machine.')),
  ).action(async (options: ImagesOptions) => {
    process.exitCode = await list(options);
  });
}

async function list(options: ImagesOptions): Promise<number> {
  const format = outputFormat(options.output);
  const images = await withLocalStores({ options, command: 'dray images' }, (stores) => stores.images.list());
  const now = Date.now();
  const rows = images.flatMap((image) => {
    const names = image.repoTags.length > 0 ? image.repoTags : image.repoDigests;
    return (names.length > 0 ? names : ['<none>']).map((name) => [
      shortTag(name),
      image.id.slice(7, 19),
      image.platform,
      formatBytes(image.size),
      formatAge(now - image.createdAt),
      image.pinned ? 'pinned' : '',
    ]);
  });
  const table = [['NAME', 'IMAGE ID', 'PLATFORM', 'SIZE', 'AGE', ''], ...rows];
  const wide = images.flatMap((image) => {
    const count = Math.max(1, image.repoTags.length === 0 ? image.repoDigests.length : image.repoTags.length);
    const used = image.lastUsedAt === undefined ? '-' : formatAge(now - image.lastUsedAt);
    return Array.from({ length: count }, () => [image.manifest.digest, String(image.layers.length), used]);
  });
  const names = images.flatMap(({ repoTags, id }) => (repoTags.length > 0 ? repoTags : [id]));
  process.stdout.write(
    formatOutput(
      { data: images, names, table, wide: [['MANIFEST', 'LAYERS', 'LAST USED'], ...wide] },
      format,
    ),
  );
  return EXIT.ok;
}
