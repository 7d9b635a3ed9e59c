import type { Clock } from '../base/clock.ts';
import type { KubeClient } from '../kube/client/kube-client.ts';
import type { Logger } from '../observe/logger.ts';
import type { Platform } from '../oci/platform.ts';
import type { ImageService } from '../pull/image-service.ts';
import type { ContainerUsage } from '../runtime/container-usage.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import type { EventRecorder, ImageManager } from './ensure-image.ts';
import type { EvictionThreshold } from './images/eviction-thresholds.ts';
import type { ImageGcPolicy } from './images/image-gc-policy.ts';
import type { NodeMetrics } from './images/node-metrics.ts';
import type { ObjectSource } from './object-source.ts';
import type { PodPullSecrets } from './pull-secrets-of-pod.ts';
import type { KubeletServerTls } from './server/kubelet-server.ts';
import type { PlainPort } from './server/plain-ports.ts';

/** What a node agent is made of and follows. */
export interface KubeletOptions {
  /** Absent: the agent stands alone and runs static Pods only. */
  readonly client: KubeClient | undefined;
  readonly nodeName: string;
  /** Platform that the node claims, and pulls for. */
  readonly platform: Platform;
  /** Directory of the agent's own state: `pods`, `pod-logs`, `claims`. */
  readonly root: string;
  readonly images: ImageService;
  readonly imageManager: ImageManager;
  readonly runtime: RuntimeService;
  readonly recorder: EventRecorder;
  /** Pull secrets of Pods; shared with the image manager's candidate lookup. */
  readonly pullSecrets?: PodPullSecrets;
  /** Address of the node and, as all share its network, of its Pods. */
  readonly address?: string;
  /** Where the agent's own endpoint listens; absent: it has none. Port 0 takes a free one. */
  readonly endpoint?: { readonly host: string; readonly port: number; readonly tls: KubeletServerTls };
  /** Where the agent tells of itself without TLS; nowhere when absent. */
  readonly plainPorts?: readonly PlainPort[];
  /** Variables for every container, such as `KUBERNETES_SERVICE_HOST`. */
  readonly clusterEnv?: Readonly<Record<string, string>>;
  readonly maxNodeImages?: number;
  /** Pods that the node takes; the kubelet's 110 when absent. */
  readonly maxPods?: number;
  /** Directory of persistent volume claims, `NAMESPACE/NAME`; `claims` of the root when absent. */
  readonly claims?: string;
  /** Directory or file of static Pods. */
  readonly staticPods?: string;
  readonly objects?: ObjectSource;
  /** Clean-up of images; absent: images stay until eviction needs their space. */
  readonly imageGc?: {
    readonly policy: ImageGcPolicy;
    readonly afterSpacePass?: (present: ReadonlySet<string>, startedAt: number) => Promise<void>;
    /** Frees content and layers that removed images leave behind. */
    readonly reclaim?: (signal: AbortSignal) => Promise<void>;
    /** Runs the removals of one pass (`ImageGcOptions`). */
    readonly removingMany?: <T>(removals: () => Promise<T>) => Promise<T>;
  };
  /** What the agent's endpoint answers at `/metrics`, and where clean-up and eviction are counted (section 14). */
  readonly metrics?: NodeMetrics;
  /** When the node counts as short of something (`parseEvictionThresholds`); absent: never, as befits a machine with other work too. */
  readonly evictionThresholds?: readonly EvictionThreshold[];
  readonly evictionTransitionPeriod?: number;
  /** Longest time that Pods get to end when a soft threshold evicts them, in seconds (rule 11.30); 0 when absent. */
  readonly evictionMaxPodGraceSeconds?: number;
  /** Measures a container, to choose whom eviction ends; absent where the runtime cannot tell. */
  readonly containerUsage?: (id: string) => Promise<ContainerUsage | undefined>;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly random?: () => number;
}
