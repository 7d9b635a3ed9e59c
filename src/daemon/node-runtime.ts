import { join } from 'node:path';
import { CriError } from '../cri/cri-error.ts';
import { serveCri, type CriServer } from '../cri/serve-cri.ts';
import { readVerified } from '../content/verified-reader.ts';
import type { Logger } from '../observe/logger.ts';
import { parseImageConfig } from '../oci/image-config.ts';
import type { ImageService } from '../pull/image-service.ts';
import { measureContainer, type ContainerUsage } from '../runtime/container-usage.ts';
import { createLocalRuntime, type LocalRuntime } from '../runtime/local-runtime.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import { containerImageLookup } from './container-image-lookup.ts';
import { createSpaceReclaimer, reclaimingImageService } from './node-maintenance.ts';
import type { NodeStores } from './node-stores.ts';

/** Where another runtime is reached: containerd or CRI-O, in the form `unix:///run/containerd/containerd.sock`. */
export interface RuntimeEndpoints {
  readonly runtime: string;
  /** The runtime's own when absent. */
  readonly images?: string | undefined;
}

/** What holds a node's images and runs its containers. */
export interface NodeRuntime {
  readonly images: ImageService;
  readonly runtime: RuntimeService;
  /** `runc`, or `containerd 1.6.20 at unix:///run/containerd/containerd.sock`. */
  readonly description: string;
  /** Frees what removed images leave behind. */
  reclaim(): Promise<void>;
  /** Where others reach the images: `unix:///var/lib/drayage/cri.sock`; absent when this node has no images of its own. */
  readonly criEndpoint: string | undefined;
  /** Measures a container; absent where the runtime is another's. */
  readonly usage?: (id: string) => Promise<ContainerUsage | undefined>;
  close(): Promise<void>;
}

export interface NodeRuntimeOptions {
  readonly root: string;
  readonly stores: NodeStores;
  /** Limit of every call to another runtime but pulls, in milliseconds (rule 12.9). */
  readonly requestTimeoutMs: number;
  readonly logger: Logger;
  readonly remark: (text: string) => void;
}

/**
 * Connects a node to another runtime, which then pulls and runs.
 *
 * @throws CriError when nobody answers there
 */
export async function connectNodeRuntime(
  options: NodeRuntimeOptions,
  endpoints: RuntimeEndpoints,
  signal: AbortSignal,
): Promise<NodeRuntime> {
  const { requestTimeoutMs } = options;
  // Most nodes have their own runtime, and need no client of another.
  const [{ criImageService }, { criRuntimeService }] = await Promise.all([
    import('../cri/cri-image-service.ts'),
    import('../cri/cri-runtime-service.ts'),
  ]);
  const images = await criImageService(endpoints.images ?? endpoints.runtime, signal, requestTimeoutMs);
  try {
    const runtime = await criRuntimeService(endpoints.runtime, signal, { requestTimeoutMs });
    const { runtimeName, runtimeVersion } = await runtime.version(signal);
    return {
      images,
      runtime,
      description: `${runtimeName} ${runtimeVersion} at ${endpoints.runtime}`,
      // The runtime collects its content by itself.
      reclaim: () => Promise.resolve(),
      criEndpoint: undefined,
      close: () => {
        images.close();
        runtime.close();
        return Promise.resolve();
      },
    };
  } catch (error) {
    images.close();
    throw error;
  }
}

/** Opens the node's own runtime on its own images, and offers the images to others on a socket. */
export async function openNodeRuntime(
  options: NodeRuntimeOptions,
  signal: AbortSignal,
): Promise<NodeRuntime> {
  const { root, stores, logger, remark } = options;
  const runtime = await createLocalRuntime(
    {
      root: join(root, 'run'),
      rootfs: stores.rootfs,
      images: containerImageLookup(stores.images, stores.content, stores.layers),
      logger,
    },
    signal,
  );
  const ending = new AbortController();
  const reclaimer = createSpaceReclaimer(stores, logger, AbortSignal.any([signal, ending.signal]));
  let cri: CriServer | undefined;
  const close = async (): Promise<void> => {
    ending.abort(new Error('the node stops'));
    await cri?.close();
    await runtime.close();
  };
  try {
    const description = await describeLauncher(runtime, remark, signal);
    cri = await startCri(
      options,
      reclaimingImageService(stores.imageService, reclaimer),
      await runtime.version(signal),
    );
    return {
      images: stores.imageService,
      runtime,
      description,
      reclaim: () => reclaimer.reclaim(),
      criEndpoint: cri?.endpoint,
      usage: (id) => measureContainer(join(root, 'run'), id),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Serves the node's images to others; a root whose path is too long for a socket goes without, and says so. */
async function startCri(
  { root, stores, logger, remark }: NodeRuntimeOptions,
  imageService: ImageService,
  version: { readonly runtimeName: string; readonly runtimeVersion: string },
): Promise<CriServer | undefined> {
  try {
    return await serveCri({
      socketPath: join(root, 'cri.sock'),
      imageService,
      describeImage: async ({ id }, signal) => {
        const image = await stores.images.find(id);
        if (image === undefined) return {};
        const config = await readVerified(stores.content, image.config, signal);
        return { imageSpec: parseImageConfig(config).document };
      },
      version,
      logger,
    });
  } catch (error) {
    if (!(error instanceof CriError)) throw error;
    remark(`no CRI endpoint: ${error.message}`);
    return undefined;
  }
}

/** Names the way of running containers; says why a better one is not taken when only the plainest is left. */
async function describeLauncher(
  runtime: LocalRuntime,
  remark: (text: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const { launcher, refused } = await runtime.launcher(signal);
  const missing = refused.map((each) => `${each.name}: ${each.reason}`);
  if (launcher.name === 'unshare') remark(`containers run with util-linux unshare (${missing.join('; ')})`);
  return launcher.name;
}
