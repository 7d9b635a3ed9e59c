import { Command } from 'commander';
import type { ImageStores } from '../daemon/stores/image-stores.ts';
import { parsePlatform } from '../oci/platform-specifier.ts';
import { parseDockerReference } from '../oci/reference.ts';
import { copyImage } from '../pull/copy/copy-image.ts';
import { registrySource } from '../pull/copy/registry-endpoint.ts';
import { storeTarget } from '../pull/copy/store-endpoint.ts';
import type { CredentialSource } from '../remote/credential.ts';
import { userCredentials, type RemoteOptions } from './_client-remote.ts';
import { fullName } from './_image-names.ts';
import { withLocalStores } from './_local-stores.ts';
import { interruptible } from './_interruptible.ts';
import { withRemoteOptions } from './_options.ts';
import { progressMode, ProgressPrinter, withProgress, type ProgressOptions } from './_progress.ts';
import { advising } from './_registry-advice.ts';
import { transferLimits, withTransferLimits, type TransferOptions } from './_transfer-limits.ts';
import { EXIT, UsageError } from './exit.ts';

interface PullOptions extends RemoteOptions, ProgressOptions, TransferOptions {
  readonly platform?: string;
  readonly allPlatforms?: boolean;
}

export function command(): Command {
  return withRemoteOptions(
    withProgress(
      withTransferLimits(
        new Command()
          .description('Pulls an image into the store of this machine, with the logins of docker and podman.')
          .argument('<image>', 'image, such as registry.example/team/app:v1')
          .option('--platform <platform>', 'os/architecture[/variant] (default: this machine’s)')
          .option('--all-platforms', 'keep the images of all platforms, and unpack this machine’s'),
      ),
    ),
  ).action(async (image: string, options: PullOptions) => {
    process.exitCode = await pull(image, options);
  });
}

async function pull(image: string, options: PullOptions): Promise<number> {
  const printer = new ProgressPrinter(progressMode(options));
  const signal = interruptible();
  if (options.platform !== undefined && options.allPlatforms === true)
    throw new UsageError('--platform and --all-platforms: one of them');
  const transfers = transferLimits(options);
  const { domain } = parseDockerReference(fullName(image));
  return withLocalStores(
    { options, command: 'dray pull', serves: true, transfers, signal },
    async (stores) => {
      const credentials = userCredentials(options, signal);
      const pulled = await advising(domain, async () => {
        if (options.allPlatforms === true) await keepAll(stores, image, credentials, printer, signal);
        return stores.pull({
          reference: image,
          ...(options.platform === undefined ? {} : { platform: parsePlatform(options.platform) }),
          credentials,
          onProgress: (progress) => printer.pull(progress),
          signal,
        });
      });
      printer.line(`${pulled.name}@${pulled.target.digest}: ${pulled.fetchedBytes} bytes fetched`);
      process.stdout.write(`${pulled.imageId}\n`);
      return EXIT.ok;
    },
  );
}

/** Brings everything that a name stands for into the store, as it is at the registry. */
async function keepAll(
  { remote, content, images }: ImageStores,
  image: string,
  credentials: CredentialSource,
  printer: ProgressPrinter,
  signal: AbortSignal,
): Promise<void> {
  await copyImage({
    source: registrySource({ remote, reference: image, credentials }),
    target: await storeTarget({ content, images, name: image }),
    onProgress: (progress) => {
      const { digest, phase, bytes, total } = progress;
      printer.show(progress, { digest, what: 'blob  ', phase, bytes, total }, phase !== 'copying');
    },
    signal,
  });
}
