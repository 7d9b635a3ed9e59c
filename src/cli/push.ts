import { Command } from 'commander';
import { openNodeStores } from '../daemon/node-stores.ts';
import { defaultRootPath, openStateRoot } from '../daemon/state-root.ts';
import { silentLogger } from '../observe/logger.ts';
import { formatReference, parseDockerReference } from '../oci/reference.ts';
import { pushImage } from '../pull/push-image.ts';
import { hostRoots, userCredentials, type RemoteOptions } from './_client-remote.ts';
import { interruptible, withRemoteOptions } from './_options.ts';
import { advising } from './_registry-advice.ts';
import { EXIT, UsageError } from './exit.ts';
import { Terminal } from './terminal.ts';

export function command(): Command {
  return withRemoteOptions(
    new Command()
      .description('Pushes an image of the store of this machine, with the logins of docker and podman.')
      .argument('<image>', 'name of the image in the store')
      .argument('[destination]', 'name to push it under (default: the same)'),
  ).action(async (image: string, destination: string | undefined, options: RemoteOptions) => {
    process.exitCode = await push(image, destination ?? image, options);
  });
}

async function push(image: string, destination: string, options: RemoteOptions): Promise<number> {
  const terminal = new Terminal(process.stderr);
  const signal = interruptible();
  const name = formatReference(parseDockerReference(image));
  const root = await openStateRoot(options.root ?? defaultRootPath(), 'dray push');
  try {
    const stores = await openNodeStores({
      root: root.path,
      hostRoots: hostRoots(options),
      insecureRegistries: options.insecureRegistry ?? [],
      logger: silentLogger,
    });
    try {
      const names = await stores.images.names();
      const target =
        names.find((each) => each.name === name)?.target ?? (await stores.images.find(image))?.manifest;
      if (target === undefined)
        throw new UsageError(`there is no image ${JSON.stringify(name)} in the store; pull it first`);
      const pushed = await advising(parseDockerReference(destination).domain, () =>
        pushImage({
          remote: stores.remote,
          content: stores.content,
          reference: destination,
          target,
          credentials: userCredentials(options, signal),
          onProgress: (progress) =>
            terminal.progress(
              `${progress.digest.slice(7, 19)}  ${progress.phase}  ${progress.bytes}/${progress.total}`,
            ),
          signal,
        }),
      );
      process.stdout.write(`${pushed.name}@${pushed.digest}\n`);
      return EXIT.ok;
    } finally {
      await stores.close();
    }
  } finally {
    root.close();
  }
}
