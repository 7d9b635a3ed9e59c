import { Command } from 'commander';
import type { ImageStores } from '../daemon/stores/image-stores.ts';
import { fallbackMatcher } from '../oci/platform-matcher.ts';
import type { Platform } from '../oci/platform.ts';
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
import { platformOption } from './_platform-option.ts';
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
  const platform = platformOption(options.platform);
  const registry = parseDockerReference(fullName(image)).domain;
  return withLocalStores(
    { options, command: 'dray pull', serves: true, transfers, signal },
    async (stores) => {
      const credentials = userCredentials(options, signal);
      const pulled = await advising(registry, async () => {
        if (options.allPlatforms === true) await keepAll(stores, image, credentials, printer, signal);
        return stores.pull({
          reference: image,
          ...(platform === undefined ? {} : { platform }),
          credentials,
          onProgress: (progress) => printer.pull(progress),
          signal,
        });
      });
      await warnOfOtherPlatform(stores, pulled.imageId, platform);
      printer.line(`${pulled.name}@${pulled.target.digest}: ${pulled.fetchedBytes} bytes fetched`);
      process.stdout.write(`${pulled.imageId}\n`);
      return EXIT.ok;
    },
  );
}

/** A name that stands for one image is pulled whatever platform that is for, as nodes do (rule 15.13); people are told. */
async function warnOfOtherPlatform(
  { images }: ImageStores,
  id: string,
  wanted: Platform | undefined,
): Promise<void> {
  if (wanted === undefined) return;
  const own = (await images.find(id))?.platform ?? '';
  const [os = '', architecture = '', variant = ''] = own.split('/');
  const named = { os, architecture, ...(variant === '' ? {} : { variant }) };
  if (own === '' || fallbackMatcher(wanted).matches(named)) return;
  process.stderr.write(`dray: the image is for ${own}, and the name stands for no other\n`);
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
