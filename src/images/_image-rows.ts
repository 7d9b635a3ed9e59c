import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { ImageWithNames } from './image-store.ts';

export type Row = Record<string, unknown>;

/** Puts a row of `images` and the image's sorted names together. */
export function imageOf(row: Row, names: readonly string[]): ImageWithNames {
  const config = descriptor(row['config']);
  const layers = descriptors(row['layers']);
  const lastUsedAt = row['last_used_at'] as number | null;
  const pinReason = row['pin_reason'] as string | null;
  return {
    id: row['id'] as Digest,
    manifest: descriptor(row['manifest']),
    config,
    layers,
    diffIds: digests(row['diff_ids']),
    platform: row['platform'] as string,
    user: row['user'] as string,
    createdAt: row['created_at'] as number,
    ...(lastUsedAt === null ? {} : { lastUsedAt }),
    pinned: row['pinned'] === 1,
    ...(pinReason === null ? {} : { pinReason }),
    repoTags: names.filter((name) => !name.includes('@')),
    repoDigests: names.filter((name) => name.includes('@')),
    size: layers.reduce((sum, layer) => sum + layer.size, config.size),
  };
}

/* What the columns hold was written by this program, from values that were checked. */

export function descriptor(text: unknown): Descriptor {
  return JSON.parse(text as string) as Descriptor;
}

export function descriptors(text: unknown): Descriptor[] {
  return JSON.parse(text as string) as Descriptor[];
}

export function digests(text: unknown): Digest[] {
  return JSON.parse(text as string) as Digest[];
}
