import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MEDIA_TYPE } from '../oci/media-type.ts';

/** The annotation by which tools find an image in a layout. @see OCI image-spec v1.1.1, annotations.md */
const REF_NAME = 'org.opencontainers.image.ref.name';

export interface NamedTarget {
  readonly name: string;
  readonly target: Descriptor;
}

/**
 * Keeps `index.json` of an OCI layout equal to a list of names, so that `skopeo inspect oci:DIR:NAME` and its like work
 * while the layout is in use. Updates never overlap; of several that wait only the last is written.
 */
export class LayoutIndex {
  readonly #path: string;
  #writing: Promise<void> = Promise.resolve();
  #latest = 0;

  /** @param directory of the layout */
  constructor(directory: string) {
    this.#path = join(directory, 'index.json');
  }

  /** Writes the names that `list` returns once earlier updates are done. */
  update(list: () => readonly NamedTarget[]): Promise<void> {
    const turn = ++this.#latest;
    const write = this.#writing.then(async () => {
      // A later update, already asked for, will say all that this one would.
      if (turn === this.#latest) await writeFileAtomic(this.#path, print(list()));
    });
    this.#writing = write.catch(() => undefined);
    return turn === this.#latest ? write : write.then(() => this.#writing);
  }
}

function print(names: readonly NamedTarget[]): string {
  const manifests = names.map(({ name, target }) => ({
    mediaType: target.mediaType,
    digest: target.digest,
    size: target.size,
    ...(target.artifactType === undefined ? {} : { artifactType: target.artifactType }),
    ...(target.platform === undefined ? {} : { platform: target.platform }),
    annotations: { ...target.annotations, [REF_NAME]: name },
  }));
  return JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests });
}
