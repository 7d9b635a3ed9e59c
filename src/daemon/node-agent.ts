import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeClient, ResourceType } from '../kube/client/kube-client.ts';
import { findResource } from '../kube/resources.ts';
import type { Secret } from '../kube/secret.ts';
import { NodeFiles } from '../credentials/node-files.ts';
import { systemClock } from '../base/clock.ts';
import type { FileStore } from '../content/file-store.ts';
import type { Logger } from '../observe/logger.ts';
import { NodeImageManager } from '../kubelet/images/image-manager.ts';
import { PulledImages } from '../kubelet/images/pulled-images.ts';
import { DEFAULT_IMAGE_SETTINGS } from '../kubelet/images/settings.ts';
import { formatPlatform } from '../oci/platform.ts';
import { hostPlatform } from '../oci/host-platform.ts';
import type { RemoteClient } from '../remote/remote-client.ts';
import { createLocalRuntime } from '../runtime/local-runtime.ts';
import { containerImageLookup } from './container-image-lookup.ts';
import { openNodeStores } from './node-stores.ts';
import { PodCandidates } from './pod-candidates.ts';

export interface NodeOptions {
  readonly name: string;
  /** Directory of the node's state. */
  readonly root: string;
  /** Speaks as `system:node:NAME`. */
  readonly client: KubeClient;
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string };
  readonly logger: Logger;
  readonly remark: (text: string) => void;
}

/** A node of this machine, running. */
export interface NodeAgent {
  readonly name: string;
  /** What it is and how it runs containers: `linux/amd64, runc, overlayfs`. */
  readonly description: string;
  readonly content: FileStore;
  readonly remote: RemoteClient;
  /** Stops the agent; containers go on. */
  close(): Promise<void>;
}

/** Starts a node: image stores, credentials, image manager, runtime and kubelet, in this order. */
export async function startNode(options: NodeOptions, signal: AbortSignal): Promise<NodeAgent> {
  const { root, logger, client } = options;
  const clock = systemClock;
  const stores = await openNodeStores({ root, logger });
  throw new Error(
    String([
      stores,
      client,
      clock,
      logger,
      signal,
      NodeFiles,
      NodeImageManager,
      PulledImages,
      DEFAULT_IMAGE_SETTINGS,
      formatPlatform,
      hostPlatform,
      createLocalRuntime,
      containerImageLookup,
      PodCandidates,
      isApiError,
      findResource,
    ]),
  );
}
export type { Secret, ResourceType };
