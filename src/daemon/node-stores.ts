import { join } from 'node:path';
import { UnpackPool } from '../archive/unpack-pool.ts';
import { openFileStore, type FileStore } from '../content/file-store.ts';
import { openLayerStore, type LayerStore } from '../images/layer-store.ts';
import { openRootfsProvider, type LocalRootfsProvider } from '../images/rootfs-provider.ts';
import { openImageStore, type SqliteImageStore } from '../images/sqlite-image-store.ts';
import type { ImageGcForecast } from '../kubelet/images/gc-forecast.ts';
import type { Logger } from '../observe/logger.ts';
import type { Platform } from '../oci/platform.ts';
import { FlightRecords } from '../pull/flight-record.ts';
import { LocalImageService } from '../pull/local-image-service.ts';
import type { DownloadLimits } from '../pull/download-queue.ts';
import { Puller } from '../pull/pull-image.ts';
import type { PullMetrics } from '../pull/pull-metrics.ts';
import { createBandwidth, type Bandwidth } from '../remote/bandwidth.ts';
import { createHostResolver, defaultHostRoots } from '../remote/hosts/create-host-resolver.ts';
import { createRemoteClient, type RemoteClient } from '../remote/remote-client.ts';

/** Everything below one root that has to do with images: what a node, `dray pull` and `dray push` share. */
export interface NodeStores {
  readonly content: FileStore;
  readonly images: SqliteImageStore;
  readonly layers: LayerStore;
  readonly rootfs: LocalRootfsProvider;
  readonly remote: RemoteClient;
  readonly puller: Puller;
  readonly imageService: LocalImageService;
  readonly records: FlightRecords;
  /** What all pulls of this root keep to together. */
  readonly bandwidth: Bandwidth;
  /** Foretells clean-up; only where a node runs on these stores. */
  forecastImageGc?(signal: AbortSignal): Promise<ImageGcForecast>;
  close(): Promise<void>;
}

/** How much of a machine and its network pulls may take. */
export interface TransferLimits extends DownloadLimits {
  /** Bytes of layers that may arrive in a second, of all pulls together; no limit when absent. */
  readonly bytesPerSecond?: number;
}

export interface NodeStoresOptions {
  readonly root: string;
  /** The machine's own when absent. */
  readonly platform?: Platform;
  /** Directories that say how to reach registries; the root's own and the system's when absent. */
  readonly hostRoots?: readonly string[];
  readonly insecureRegistries?: readonly string[];
  /** Milliseconds without a new byte after which a pull is ended; 0 is never, absent five minutes (rule 17.1). */
  readonly progressTimeoutMs?: number;
  readonly transfers?: TransferLimits;
  /** Told of all pulls. */
  readonly metrics?: PullMetrics;
  readonly logger: Logger;
}

/** Opens the image stores of a root. The caller holds the root's lock. */
export async function openNodeStores(options: NodeStoresOptions): Promise<NodeStores> {
  const { root, logger } = options;
  const pool = new UnpackPool();
  const content = await openFileStore(join(root, 'content'));
  const images = await openImageStore(join(root, 'images.db'), { layout: join(root, 'content') });
  const layers = await openLayerStore(join(root, 'layers'), { pool, content });
  const rootfs = await openRootfsProvider(join(root, 'rootfs'), { layers, pool });
  const hosts = createHostResolver({
    roots: options.hostRoots ?? defaultHostRoots(root),
    insecureRegistries: options.insecureRegistries ?? [],
    logger,
  });
  const { bytesPerSecond, ...downloads } = options.transfers ?? {};
  const bandwidth = createBandwidth(bytesPerSecond);
  const remote = createRemoteClient({ hosts, bandwidth });
  const records = new FlightRecords(join(root, 'pulls'));
  const puller = new Puller({
    remote,
    content,
    images,
    unpacker: layers,
    records,
    ...downloads,
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
    ...(options.progressTimeoutMs === undefined ? {} : { progressTimeoutMs: options.progressTimeoutMs }),
    ...(options.platform === undefined ? {} : { platform: options.platform }),
  });
  return {
    content,
    images,
    layers,
    rootfs,
    remote,
    puller,
    records,
    bandwidth,
    imageService: new LocalImageService({ images, puller, root }),
    close: async () => {
      await remote.close();
      await layers.synced();
      await pool.close();
      images.close();
    },
  };
}
