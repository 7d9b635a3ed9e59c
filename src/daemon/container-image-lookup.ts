import { readVerified } from '../content/verified-reader.ts';
import type { Provider } from '../content/store.ts';
import type { ImageStore, ImageWithNames } from '../images/image-store.ts';
import type { LayerStore } from '../images/layer-store.ts';
import { parseImageConfig } from '../oci/image-config.ts';
import type { ContainerImage, ImageLookup } from '../runtime/container-image.ts';

/**
 * Answers the runtime's question what an image is made of and how it runs, from the node's records, with its layers unpacked: a pull has
 * done that, and for what was loaded or copied into the store, or lost its layers with the power, it is done here.
 *
 * @param layers absent where the runtime makes root file systems some other way
 */
export function containerImageLookup(
  images: ImageStore,
  content: Provider,
  layers?: LayerStore,
): ImageLookup {
  return async (reference, signal): Promise<ContainerImage | undefined> => {
    const image = await images.find(reference);
    if (image === undefined) return undefined;
    const { config } = parseImageConfig(await readVerified(content, image.config, signal));
    if (layers !== undefined) await unpackMissing(images, layers, image, signal);
    return {
      id: image.id,
      image: image.repoTags[0] ?? image.id,
      imageRef: image.repoDigests[0] ?? image.id,
      diffIds: image.diffIds,
      config: {
        User: config.user,
        Env: config.env,
        Entrypoint: config.entrypoint,
        Cmd: config.cmd,
        WorkingDir: config.workingDir,
        ...(config.stopSignal === '' ? {} : { StopSignal: config.stopSignal }),
      },
    };
  };
}

async function unpackMissing(
  images: ImageStore,
  layers: LayerStore,
  image: ImageWithNames,
  signal: AbortSignal,
): Promise<void> {
  const missing: number[] = [];
  for (const [index, diffId] of image.diffIds.entries())
    if (!(await layers.isUnpacked(diffId))) missing.push(index);
  if (missing.length === 0) return;
  // The image may be removed meanwhile: what is unpacked for a container stays until that stands on it.
  const lease = await images.lease(`unpack ${image.id}`);
  try {
    for (const digest of [...image.diffIds, ...image.layers.map((layer) => layer.digest)])
      await lease.add(digest);
    await Promise.all(
      missing.map(async (index) => {
        const [layer, diffId] = [image.layers[index], image.diffIds[index]];
        if (layer !== undefined && diffId !== undefined) await layers.unpack(layer, diffId, signal);
      }),
    );
  } finally {
    await lease.release();
  }
}
