import type { Ingester, Provider } from '../../content/store.ts';
import { collect, type CollectOptions, type CollectStep } from '../../images/collect.ts';
import type { SqliteImageStore } from '../../images/sqlite-image-store.ts';
import type { ImageGcForecast } from '../../kubelet/images/gc-forecast.ts';
import type { PulledImage, PullImageRequest } from '../../pull/pull-image.ts';
import type { RemoteClient } from '../../remote/remote-client.ts';
import { forecastWithoutNode } from '../image-gc-forecast.ts';
import type { NodeStores } from '../node-stores.ts';

/** What commands do with names and records of images. */
export type ImageRecords = Pick<
  SqliteImageStore,
  'find' | 'list' | 'names' | 'put' | 'tag' | 'removeName' | 'removeImage' | 'lease'
>;

/** The image stores of a root as commands use them: opened by this process, or by the one that holds the root. */
export interface ImageStores {
  readonly content: Provider & Ingester;
  readonly images: ImageRecords;
  /** Reaches registries from this process, with the options of this command. */
  readonly remote: RemoteClient;
  /** @throws PullError */
  pull(request: PullImageRequest): Promise<PulledImage>;
  collect(options: Pick<CollectOptions, 'dryRun' | 'verify'>, signal: AbortSignal): Promise<CollectStep[]>;
  /** Foretells the node's clean-up; undefined when the process that holds the root is no node. */
  forecastImageGc(signal: AbortSignal): Promise<ImageGcForecast | undefined>;
}

/** Offers stores that this process has open. */
export function ownImageStores(root: string, stores: NodeStores): ImageStores {
  const { content, images, remote, puller } = stores;
  return {
    content,
    images,
    remote,
    pull: (request) => puller.pull(request),
    collect: (options, signal) => collect(stores, options, signal),
    forecastImageGc: (signal) => forecastWithoutNode(root, stores, Date.now(), signal),
  };
}
