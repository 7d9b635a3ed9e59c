import { readVerified } from '../content/verified-reader.ts';
import type { Provider } from '../content/store.ts';
import type { ImageStore } from '../images/image-store.ts';
import { parseImageConfig } from '../oci/image-config.ts';
import type { ContainerImage, ImageLookup } from '../runtime/container-image.ts';

/** Answers the runtime's question what an image is made of and how it runs, from the node's records. */
export function containerImageLookup(images: ImageStore, content: Provider): ImageLookup {
  return async (reference, signal): Promise<ContainerImage | undefined> => {
    const image = await images.find(reference);
    if (image === undefined) return undefined;
    const { config } = parseImageConfig(await readVerified(content, image.config, signal));
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
