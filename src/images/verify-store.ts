import { messageOf } from '../base/coded-error.ts';
import { ContentError } from '../content/content-error.ts';
import type { ContentStore, Provider } from '../content/store.ts';
import { readVerified } from '../content/verified-reader.ts';
import { algorithmOf, Digester, type Digest } from '../oci/digest.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { MAX_CONFIG_BYTES, parseImageConfig } from '../oci/image-config.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from '../oci/manifest.ts';
import type { ImageWithNames } from './image-store.ts';
import type { LayerStore } from './layer-store.ts';
import type { SqliteImageStore } from './sqlite-image-store.ts';

/** What a check looked at, and what it found wrong. */
export interface Verification {
  readonly sound: number;
  readonly damaged: readonly Damage[];
}

export interface Damage {
  /** Digest of the content or layer, ID or name of the image. */
  readonly what: string;
  readonly problem: string;
  readonly bytes: number;
}

/** Digests everything that is held, unfinished downloads apart: those are digested when they are taken up. */
export async function verifyContent(
  content: ContentStore,
  signal: AbortSignal,
  remove: (digest: Digest) => Promise<void>,
): Promise<Verification> {
  const damaged: Damage[] = [];
  let sound = 0;
  for await (const { digest, size } of content.walk()) {
    const digester = new Digester(algorithmOf(digest));
    try {
      for await (const chunk of await content.open(digest)) {
        signal.throwIfAborted();
        digester.update(chunk as Buffer);
      }
    } catch (error) {
      // Taken away by somebody else's collection meanwhile.
      if (error instanceof ContentError && error.code === 'NOT_FOUND') continue;
      throw error;
    }
    const actual = digester.digest();
    if (actual === digest) {
      sound++;
      continue;
    }
    damaged.push({ what: digest, problem: `its bytes are those of ${actual}`, bytes: size });
    await remove(digest);
  }
  return { sound, damaged };
}

/**
 * Unpacks each layer anew beside the one that is there and compares the two. A layer that was unpacked from content that is no
 * longer held cannot be checked, and counts as neither.
 */
export async function verifyLayers(
  layers: LayerStore,
  images: readonly ImageWithNames[],
  signal: AbortSignal,
  remove: (diffId: Digest) => Promise<void>,
): Promise<Verification> {
  const sources = new Map<Digest, Descriptor>();
  for (const { layers: blobs, diffIds } of images) {
    for (const [index, diffId] of diffIds.entries()) {
      const blob = blobs[index];
      if (blob !== undefined) sources.set(diffId, blob);
    }
  }
  const damaged: Damage[] = [];
  let sound = 0;
  for await (const { diffId, bytes } of layers.walk()) {
    signal.throwIfAborted();
    const source = sources.get(diffId);
    const outcome = source === undefined ? undefined : await layers.verify(source, diffId, signal);
    if (outcome === 'sound') sound++;
    if (outcome === undefined || outcome === 'sound') continue;
    damaged.push({ what: diffId, problem: outcome.difference, bytes });
    await remove(diffId);
  }
  return { sound, damaged };
}

/** Follows each record and name to what it says is held. */
export async function verifyRecords(
  images: SqliteImageStore,
  content: Provider,
  signal: AbortSignal,
): Promise<Verification> {
  const damaged: Damage[] = [];
  let sound = 0;
  const check = async (what: string, look: () => Promise<string | undefined>): Promise<void> => {
    signal.throwIfAborted();
    const problem = await look();
    if (problem === undefined) sound++;
    else damaged.push({ what, problem, bytes: 0 });
  };
  for (const image of await images.list()) await check(image.id, () => problemOf(image, content, signal));
  for (const { name, target } of await images.names()) {
    await check(name, async () =>
      (await isHeld(content, target)) ? undefined : `it stands for ${target.digest}, which is not held`,
    );
  }
  return { sound, damaged };
}

async function problemOf(
  image: ImageWithNames,
  content: Provider,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const part of [image.manifest, image.config, ...image.layers])
    if (!(await isHeld(content, part))) return `its part ${part.digest} is not held`;
  try {
    const manifest = parseManifest(
      await readVerified(content, image.manifest, signal, MAX_MANIFEST_BYTES),
      image.manifest.mediaType,
    );
    const digests = image.layers.map(({ digest }) => digest).join();
    const named = manifest.kind === 'manifest' ? manifest.layers.map(({ digest }) => digest).join() : '';
    if (manifest.kind !== 'manifest' || manifest.config.digest !== image.id || named !== digests)
      return 'its record is not what its manifest says';
    const config = parseImageConfig(await readVerified(content, image.config, signal, MAX_CONFIG_BYTES));
    return config.diffIds.join() === image.diffIds.join()
      ? undefined
      : 'its record is not what its config says';
  } catch (error) {
    signal.throwIfAborted();
    return messageOf(error);
  }
}

async function isHeld(content: Provider, { digest, size }: Descriptor): Promise<boolean> {
  try {
    return (await content.stat(digest)).size === size;
  } catch (error) {
    if (error instanceof ContentError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}
