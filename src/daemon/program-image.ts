import { stat } from 'node:fs/promises';
import type { TarSource } from '../archive/make-tar.ts';
import type { Ingester, Provider } from '../content/store.ts';
import { buildImage, buildLayer } from '../images/build-image.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { formatPlatform } from '../oci/platform.ts';
import { filesOfProgram } from './host-program.ts';

/** A small image that holds one program of this machine and what that needs. */
export interface ProgramImage {
  readonly target: Descriptor;
  readonly files: number;
  /** Bytes of the files, uncompressed. */
  readonly bytes: number;
  readonly platform: string;
}

const PROGRAM_MODE = 0o755;
const SHARED_MODE = 0o1777;

/**
 * Makes an image out of a program of this machine, with its loader and libraries under their own paths, and puts it into a
 * content store. Equal files make an equal image.
 */
export async function buildProgramImage(
  name: string,
  store: Ingester & Pick<Provider, 'stat'>,
  signal: AbortSignal,
): Promise<ProgramImage> {
  const program = await filesOfProgram(name);
  let bytes = 0;
  const sources: TarSource[] = [{ kind: 'directory', path: 'tmp', mode: SHARED_MODE }];
  for (const file of program.files) {
    bytes += (await stat(file.source)).size;
    sources.push({ kind: 'file', path: file.path, from: file.source, mode: PROGRAM_MODE });
  }
  const layer = await buildLayer(store, sources, signal, {
    createdBy: `${program.path} and the libraries that it needs`,
  });
  const platform = { os: 'linux', architecture: program.architecture };
  const image = await buildImage(
    store,
    {
      layers: [layer],
      platform,
      config: {
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        Cmd: [program.path],
      },
    },
    signal,
  );
  return { target: image.manifest, files: program.files.length, bytes, platform: formatPlatform(platform) };
}
