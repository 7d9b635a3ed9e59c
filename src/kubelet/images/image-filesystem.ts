import { statfs } from 'node:fs/promises';
import { CodedError } from '../../base/coded-error.ts';
import type { ImageService } from '../../pull/image-service.ts';
import type { FilesystemSpace } from './image-gc-plan.ts';

export class ImageFilesystemError extends CodedError<'UNAVAILABLE'> {}

/** Space and inodes of one file system. */
export interface FilesystemStats extends FilesystemSpace {
  readonly inodes: number;
  readonly inodesFree: number;
}

/** Measures the file system at `path`; what only root may use counts as taken. */
export async function measureFilesystem(path: string): Promise<FilesystemStats> {
  const stats = await statfs(path);
  return {
    capacity: stats.blocks * stats.bsize,
    available: stats.bavail * stats.bsize,
    inodes: stats.files,
    inodesFree: stats.ffree,
  };
}

/**
 * Measures the first image file system that the runtime names; the numbers are this node's own (rule 11.32).
 *
 * @throws ImageFilesystemError `UNAVAILABLE` when the runtime names none
 */
export async function imageFilesystemStats(
  imageService: ImageService,
  signal: AbortSignal,
  measure: (path: string) => Promise<FilesystemStats> = measureFilesystem,
): Promise<FilesystemStats> {
  const { imageFilesystems } = await imageService.imageFsInfo(signal);
  const [first] = imageFilesystems;
  if (first === undefined)
    throw new ImageFilesystemError('UNAVAILABLE', 'imageFs information is unavailable');
  return measure(first.mountpoint);
}
