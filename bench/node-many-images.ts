import { createHash } from 'node:crypto';
import type { ImageStore } from '../src/images/image-store.ts';
import type { Digest } from '../src/oci/digest.ts';

const LAYER_BYTES = 1_000_000;
const CONFIG_BYTES = 500;

/** Puts so many images into a store, each of a tag and a digest of its own; returns their sizes together. */
export async function putManyImages(images: Pick<ImageStore, 'put'>, count: number): Promise<number> {
  const digestOf = (text: string): Digest =>
    `sha256:${createHash('sha256').update(text).digest('hex')}` as Digest;
  const layers = [
    { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf('layer'), size: LAYER_BYTES },
  ];
  // All at once, so that the list of names in the layout is written once and not for each.
  const put = async (number: number): Promise<void> => {
    const id = digestOf(`config ${number}`);
    const manifest = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digestOf(`manifest ${number}`),
      size: CONFIG_BYTES,
    };
    const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: id, size: CONFIG_BYTES };
    const name = `registry.example/team/image-${number}`;
    await images.put(
      { id, manifest, config, layers, diffIds: [digestOf('diff')], platform: 'linux/amd64', user: '' },
      [
        { name: `${name}:1`, target: manifest },
        { name: `${name}@${manifest.digest}`, target: manifest },
      ],
    );
  };
  await Promise.all(Array.from({ length: count }, (_, number) => put(number)));
  return count * (LAYER_BYTES + CONFIG_BYTES);
}
