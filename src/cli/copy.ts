import { Command } from 'commander';
import type { ImageStores } from '../daemon/stores/image-stores.ts';
import { parseDockerReference } from '../oci/reference.ts';
import { copyImage, type CopyProgress } from '../pull/copy/copy-image.ts';
import { openRemote, userCredentials, type RemoteOptions } from './_client-remote.ts';
import { openSource, openTarget, parsePlace, type ImagePlace } from './_image-places.ts';
import { interruptible } from './_interruptible.ts';
import { withRemoteOptions } from './_options.ts';
import { platformOption } from './_platform-option.ts';
import { progressMode, ProgressPrinter, withProgress, type ProgressOptions } from './_progress.ts';
import { advising } from './_registry-advice.ts';
import { EXIT } from './exit.ts';

interface CopyOptions extends RemoteOptions, ProgressOptions {
  readonly platform?: string;
  readonly referrers?: boolean;
}

export function command(): Command {
  return withRemoteOptions(
    withProgress(
      new Command()
        .description(
          'Copies an image with all its platforms. A place is a name at a registry, oci:DIRECTORY[:NAME], archive:FILE[:NAME] or store:NAME.',
        )
        .argument('<source>', 'where it is')
        .argument('<destination>', 'where it goes')
        .option('--platform <platform>', 'copy only the image for this platform')
        .option('--referrers', 'from registry to registry: signatures, attestations and SBOMs too'),
    ),
  ).action(async (source: string, destination: string, options: CopyOptions) => {
    process.exitCode = await copy(parsePlace(source), parsePlace(destination), options);
  });
}

async function copy(from: ImagePlace, to: ImagePlace, options: CopyOptions): Promise<number> {
  const printer = new ProgressPrinter(progressMode(options));
  const signal = interruptible();
  const platform = platformOption(options.platform);
  const run = async (stores: ImageStores | undefined): Promise<string> => {
    await using cleanup = new AsyncDisposableStack();
    const remote = stores?.remote ?? openRemote(options);
    if (stores === undefined) cleanup.defer(() => remote.close());
    const context = { remote, credentials: userCredentials(options, signal), stores, cleanup, signal };
    const { referrers } = options;
    const copied = await copyImage({
      source: await openSource(from, context),
      target: await openTarget(to, context),
      platform,
      referrers,
      onProgress: (progress) => show(progress, printer),
      signal,
    });
    return copied.digest;
  };
  const opens = from.kind === 'store' || to.kind === 'store';
  const digest = await advising(registryOf(from, to), async () => {
    if (!opens) return run(undefined);
    // A third of what there is to load, and most copies go from one registry to another.
    const { withLocalStores } = await import('./_local-stores.ts');
    return withLocalStores({ options, command: 'dray copy', serves: true, signal }, run);
  });
  process.stdout.write(`${digest}\n`);
  return EXIT.ok;
}

function show(progress: CopyProgress, printer: ProgressPrinter): void {
  const { digest, phase, bytes, total } = progress;
  printer.show(progress, { digest, what: 'blob', phase, bytes, total }, phase !== 'copying');
}

/** The registry that advice is about: of two the one that is written to, where most can go wrong. */
function registryOf(from: ImagePlace, to: ImagePlace): string {
  for (const place of [to, from])
    if (place.kind === 'registry') return parseDockerReference(place.name).domain;
  return '';
}
