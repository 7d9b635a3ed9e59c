import type { ApplyOptions, ApplyReport } from './apply-options.ts';
import type { DecompressOptions } from './decompress.ts';
import { runUnpackJob } from './unpack-job.ts';

/**
 * Applies one layer, compressed or not, to a directory, in the calling thread. Several layers applied in their order to one
 * directory with `whiteouts: 'remove'` make a root file system. Nothing is ever written outside `directory`, which nobody
 * else may change meanwhile.
 *
 * @throws ArchiveError; the directory then holds a part of the layer
 * @see OCI image-spec v1.1.1, layer.md
 */
export async function applyLayer(
  source: AsyncIterable<Uint8Array>,
  directory: string,
  options: ApplyOptions & { readonly limits?: DecompressOptions },
  signal: AbortSignal,
): Promise<ApplyReport> {
  const { limits, ...apply } = options;
  const job = {
    target: directory,
    apply,
    source: { kind: 'stream' },
    ...(limits === undefined ? {} : { limits }),
  } as const;
  return (await runUnpackJob(job, source, signal)).report;
}
