import { Command } from 'commander';
import { openNodeStores } from '../daemon/node-stores.ts';
import { defaultRootPath, openStateRoot } from '../daemon/state-root.ts';
import { silentLogger } from '../observe/logger.ts';
import { parseDockerReference } from '../oci/reference.ts';
import { parsePlatform } from '../oci/platform-specifier.ts';
import type { PullProgress } from '../pull/progress.ts';
import { hostRoots, userCredentials, type RemoteOptions } from './_client-remote.ts';
import { interruptible, withRemoteOptions } from './_options.ts';
import { advising } from './_registry-advice.ts';
import { EXIT } from './exit.ts';
import { Terminal } from './terminal.ts';

interface PullOptions extends RemoteOptions {
  readonly platform?: string;
  readonly quiet?: boolean;
}

export function command(): Command {
  return withRemoteOptions(
    new Command()
      .description('Pulls an image into the store of this machine, with the logins of docker and podman.')
      .argument('<image>', 'image, such as registry.example/team/app:v1')
      .option('--platform <platform>', 'os/architecture[/variant] (default: this machine’s)')
      .option('-q, --quiet', 'print nothing but the image ID'),
  ).action(async (image: string, options: PullOptions) => {
    process.exitCode = await pull(image, options);
  });
}

async function pull(image: string, options: PullOptions): Promise<number> {
  const terminal = new Terminal(process.stderr);
  const signal = interruptible();
  const root = await openStateRoot(options.root ?? defaultRootPath(), 'dray pull');
  try {
    const stores = await openNodeStores({
      root: root.path,
      hostRoots: hostRoots(options),
      insecureRegistries: options.insecureRegistry ?? [],
      logger: silentLogger,
    });
    try {
      const pulled = await advising(parseDockerReference(image).domain, () =>
        stores.puller.pull({
          reference: image,
          ...(options.platform === undefined ? {} : { platform: parsePlatform(options.platform) }),
          credentials: userCredentials(options, signal),
          onProgress: options.quiet === true ? undefined : (progress) => show(progress, terminal),
          signal,
        }),
      );
      if (options.quiet !== true)
        terminal.line(`${pulled.name}@${pulled.target.digest}: ${pulled.fetchedBytes} bytes fetched`);
      process.stdout.write(`${pulled.imageId}\n`);
      return EXIT.ok;
    } finally {
      await stores.close();
    }
  } finally {
    root.close();
  }
}

function show(progress: PullProgress, terminal: Terminal): void {
  if (progress.digest === undefined) return;
  const share = progress.total === 0 ? 100 : Math.floor((progress.bytes / progress.total) * 100);
  const line = `${progress.digest.slice(7, 19)}  ${progress.kind.padEnd(6)}  ${progress.phase}  ${share} %`;
  if (progress.phase === 'done' || progress.phase === 'shared') terminal.line(line);
  else terminal.progress(line);
}
