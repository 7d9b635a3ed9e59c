import { Command } from 'commander';
import type { ImageStores } from '../daemon/stores/image-stores.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parsePlatform } from '../oci/platform-specifier.ts';
import { parseDockerReference } from '../oci/reference.ts';
import { describeImage, storeSource } from '../pull/copy/store-endpoint.ts';
import { pushImage } from '../pull/push-image.ts';
import { userCredentials, type RemoteOptions } from './_client-remote.ts';
import { findImage, fullName } from './_image-names.ts';
import { withLocalStores } from './_local-stores.ts';
import { interruptible } from './_interruptible.ts';
import { withRemoteOptions } from './_options.ts';
import { progressMode, ProgressPrinter, withProgress, type ProgressOptions } from './_progress.ts';
import { advising } from './_registry-advice.ts';
import { EXIT, UsageError } from './exit.ts';

interface PushOptions extends RemoteOptions, ProgressOptions {
  readonly platform?: string;
  readonly allPlatforms?: boolean;
}

export function command(): Command {
  return withRemoteOptions(
    withProgress(
      new Command()
        .description('Pushes an image of the store of this machine, with the logins of docker and podman.')
        .argument('<image>', 'name of the image in the store')
        .argument('[destination]', 'name to push it under (default: the same)')
        .option('--platform <platform>', 'only the image for this platform')
        .option('--all-platforms', 'fail unless all platforms that the name stands for are held'),
    ),
  ).action(async (image: string, destination: string | undefined, options: PushOptions) => {
    process.exitCode = await push(image, destination ?? image, options);
  });
}

async function push(image: string, destination: string, options: PushOptions): Promise<number> {
  const printer = new ProgressPrinter(progressMode(options));
  const signal = interruptible();
  if (options.platform !== undefined && options.allPlatforms === true)
    throw new UsageError('--platform and --all-platforms: one of them');
  const { domain } = parseDockerReference(fullName(destination));
  return withLocalStores({ options, command: 'dray push', serves: true, signal }, async (stores) => {
    const target = await chosen(stores, image, options, signal);
    const pushed = await advising(domain, () =>
      pushImage({
        remote: stores.remote,
        content: stores.content,
        reference: destination,
        target,
        credentials: userCredentials(options, signal),
        onProgress: (progress) => {
          const { digest, phase, bytes, total } = progress;
          printer.show(progress, { digest, what: 'blob', phase, bytes, total }, phase !== 'copying');
        },
        signal,
      }),
    );
    process.stdout.write(`${pushed.name}@${pushed.digest}\n`);
    return EXIT.ok;
  });
}

/** Says what to push: what the name points at, unless of its platforms only this machine's is held or one is named. */
async function chosen(
  { content, images }: ImageStores,
  text: string,
  { platform, allPlatforms }: PushOptions,
  signal: AbortSignal,
): Promise<Descriptor> {
  const { image, name } = await findImage(images, text);
  if (allPlatforms === true) {
    const names = await images.names();
    return names.find((each) => each.name === name)?.target ?? image.manifest;
  }
  const source = await storeSource({ content, images, name: name ?? image.id });
  const root = await source.resolve(signal);
  if (platform === undefined) return root;
  return (await describeImage(content, root, parsePlatform(platform), signal)).manifest;
}
