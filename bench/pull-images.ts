import { readFileSync } from 'node:fs';
import type { TarSource } from '../src/archive/make-tar.ts';
import type { FileStore } from '../src/content/file-store.ts';
import { buildImage, buildLayer, type BuiltImage } from '../src/images/build-image.ts';
import { hostPlatform } from '../src/oci/host-platform.ts';

/** What an image of the benchmark is made of, at scale 1. */
export interface ImageShape {
  readonly name: string;
  readonly layers: number;
  readonly files: number;
  readonly bytes: number;
}

export const SHAPES: readonly ImageShape[] = [
  { name: 'mixed', layers: 3, files: 28_000, bytes: 750e6 },
  { name: 'large', layers: 1, files: 64, bytes: 1000e6 },
  { name: 'layers', layers: 40, files: 4_000, bytes: 80e6 },
  { name: 'tiny', layers: 1, files: 100_000, bytes: 100e6 },
];

/** Directories of an image hold so many files each, as those of node_modules do about. */
const FILES_IN_DIRECTORY = 12;
/** Fewest bytes that content is cut from: far more than what gzip looks back over. */
const POOL_BYTES = 32 * 1024 * 1024;

/**
 * Builds an image whose content compresses as real ones do: half machine code (this Node's own), half text of made-up words.
 * Equal shapes and scales give equal images on one machine.
 */
export async function buildShape(
  store: FileStore,
  shape: ImageShape,
  scale: number,
  signal: AbortSignal,
): Promise<BuiltImage> {
  const random = generator(shape.files);
  const pools = [codePool(), textPool(random)];
  const files = Math.max(shape.layers, Math.round(shape.files * scale));
  const average = (shape.bytes * scale) / files;
  const layers = [];
  for (let layer = 0; layer < shape.layers; layer++) {
    const sources: TarSource[] = [];
    for (let file = layer; file < files; file += shape.layers) {
      const pool = pools[file % pools.length] ?? Buffer.alloc(0);
      // Sizes from nothing to twice the average, so that the sum is what was asked for.
      const size = Math.min(Math.floor(random() * 2 * average), pool.length);
      const at = Math.floor(random() * (pool.length - size));
      const directory = `opt/layer-${layer}/d${Math.floor(file / (FILES_IN_DIRECTORY * shape.layers))}`;
      const bytes = pool.subarray(at, at + size);
      sources.push({ kind: 'bytes', path: `${directory}/file-${file}`, bytes, mtime: 1_700_000_000 });
    }
    layers.push(await buildLayer(store, sources, signal));
  }
  return buildImage(store, { layers, config: {}, platform: hostPlatform() }, signal);
}

function codePool(): Buffer {
  const code = readFileSync(process.execPath);
  const start = Math.floor(code.length / 4);
  return code.subarray(start, start + 2 * POOL_BYTES);
}

function textPool(random: () => number): Buffer {
  const words = Array.from({ length: 4096 }, () => {
    const letters = 2 + Math.floor(random() * 9);
    return Array.from({ length: letters }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join(
      '',
    );
  });
  const pool = Buffer.alloc(POOL_BYTES);
  for (let at = 0; at < pool.length;) {
    // Squared, so that some words are frequent, as in any language.
    const word = words[Math.floor(random() ** 2 * words.length)] ?? '';
    at += pool.write(`${word} `, at);
  }
  return pool;
}

/** Pseudo-random numbers from 0 to 1, the same every time. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
