import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import { MEDIA_TYPE } from '../oci/media-type.ts';
import { ContentError } from './content-error.ts';

/** What `oci-layout` says. @see OCI image-spec v1.1.1, image-layout.md, "oci-layout file" */
const LAYOUT_VERSION = '1.0.0';

/** Makes `oci-layout` and an empty `index.json` where they are missing. @throws ContentError `DAMAGED` for another version */
export async function openLayoutFiles(directory: string): Promise<void> {
  const path = join(directory, 'oci-layout');
  await writeIfMissing(path, JSON.stringify({ imageLayoutVersion: LAYOUT_VERSION }));
  checkVersion(path, await readFile(path, 'utf8'));
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests: [] };
  await writeIfMissing(join(directory, 'index.json'), JSON.stringify(index));
}

function checkVersion(path: string, text: string): void {
  let version: unknown;
  try {
    version = (JSON.parse(text) as { imageLayoutVersion?: unknown } | null)?.imageLayoutVersion;
  } catch (cause) {
    throw new ContentError('DAMAGED', `Cannot open content store: "${path}" is not JSON`, { cause });
  }
  if (version === LAYOUT_VERSION) return;
  throw new ContentError(
    'DAMAGED',
    `Cannot open content store: "${path}" says layout version ${JSON.stringify(version)}, expected "${LAYOUT_VERSION}"`,
  );
}

/** Writes a file that is not there; one that is stays as it is. */
async function writeIfMissing(path: string, text: string): Promise<void> {
  try {
    await stat(path);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
    await writeFileAtomic(path, text);
  }
}
