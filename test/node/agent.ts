import { join } from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import type { RootfsProvider } from '../../src/images/rootfs.ts';
import type { KubeClient } from '../../src/kube/client/kube-client.ts';
import { createEventRecorder } from '../../src/kubelet/event-recorder.ts';
import { parseEvictionThresholds } from '../../src/kubelet/images/eviction-thresholds.ts';
import { imageGcPolicy } from '../../src/kubelet/images/image-gc-policy.ts';
import { NodeImageManager } from '../../src/kubelet/images/image-manager.ts';
import type { NodeMetrics } from '../../src/kubelet/images/node-metrics.ts';
import { PulledImages } from '../../src/kubelet/images/pulled-images.ts';
import { DEFAULT_IMAGE_SETTINGS, type ImageSettings } from '../../src/kubelet/images/settings.ts';
import { keptObjects } from '../../src/kubelet/kept-objects.ts';
import { apiObjects } from '../../src/kubelet/object-source.ts';
import { podCandidates, PodPullSecrets } from '../../src/kubelet/pull-secrets-of-pod.ts';
import { startKubelet, type Kubelet } from '../../src/kubelet/start-kubelet.ts';
import type { KubeletServerTls } from '../../src/kubelet/server/kubelet-server.ts';
import type { Logger } from '../../src/observe/logger.ts';
import type { Platform } from '../../src/oci/platform.ts';
import type { ImageService } from '../../src/pull/image-service.ts';
import type { ImageLookup } from '../../src/runtime/container-image.ts';
import { measureContainer } from '../../src/runtime/container-usage.ts';
import { createLocalRuntime, type LocalRuntime } from '../../src/runtime/local-runtime.ts';

export interface TestAgentOptions {
  readonly name: string;
  readonly root: string;
  readonly platform: Platform;
  readonly client: KubeClient;
  readonly tls: KubeletServerTls;
  readonly images: ImageService;
  readonly rootfs: RootfsProvider;
  readonly lookup: ImageLookup;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly launcher?: 'runc' | 'unshare';
  /** What differs from the defaults; clean-up of images follows them when any is given. */
  readonly imageSettings?: Partial<ImageSettings>;
  readonly evictionHard?: Readonly<Record<string, string>>;
  readonly evictionTransitionPeriod?: number;
  readonly maxPods?: number;
  readonly staticPods?: string;
  readonly metrics?: NodeMetrics;
}

export interface TestAgent {
  readonly kubelet: Kubelet;
  readonly runtime: LocalRuntime;
  readonly recorder: ReturnType<typeof createEventRecorder>;
  /** Stops the agent; containers go on. */
  stop(): Promise<void>;
  /** Stops the agent and ends its containers. */
  destroy(): Promise<void>;
}

/** Starts one node's agent: runtime, image manager and kubelet over the images that it is given. */
export async function startAgent(options: TestAgentOptions, signal: AbortSignal): Promise<TestAgent> {
  const { client, clock, logger, root, name, images } = options;
  const runtime = await createLocalRuntime(
    {
      root: join(root, 'runtime'),
      rootfs: options.rootfs,
      images: options.lookup,
      ...(options.launcher === undefined ? {} : { launcher: options.launcher }),
    },
    signal,
  );
  const recorder = createEventRecorder({ client, component: 'kubelet', host: name, clock });
  const objects = keptObjects(apiObjects(client), signal);
  const pullSecrets = new PodPullSecrets({ objects, recorder });
  const settings = { ...DEFAULT_IMAGE_SETTINGS, registryPullQps: 0, ...options.imageSettings };
  const records = await PulledImages.open({
    root,
    policy: settings.verificationPolicy,
    allowlist: settings.verificationAllowlist,
    maxPods: settings.maxPods,
    maxParallelImagePulls: settings.maxParallelImagePulls,
    clock,
    report: () => undefined,
  });
  const kubelet = await startKubelet(
    {
      client,
      nodeName: name,
      platform: options.platform,
      root: join(root, 'kubelet'),
      images,
      imageManager: new NodeImageManager({
        imageService: images,
        candidates: podCandidates({ secrets: pullSecrets }),
        records,
        recorder,
        clock,
        settings,
        signal,
      }),
      runtime,
      recorder,
      pullSecrets,
      objects,
      clock,
      random: () => 0,
      logger,
      ...(options.imageSettings === undefined
        ? {}
        : {
            imageGc: {
              policy: imageGcPolicy(settings),
              afterSpacePass: (present, startedAt) => records.prune(present, startedAt),
            },
          }),
      ...(options.evictionHard === undefined
        ? {}
        : { evictionThresholds: parseEvictionThresholds({ evictionHard: options.evictionHard }) }),
      containerUsage: (id) => measureContainer(join(root, 'runtime'), id),
      ...(options.evictionTransitionPeriod === undefined
        ? {}
        : { evictionTransitionPeriod: options.evictionTransitionPeriod }),
      ...(options.maxPods === undefined ? {} : { maxPods: options.maxPods }),
      ...(options.staticPods === undefined ? {} : { staticPods: options.staticPods }),
      ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
      endpoint: { host: '127.0.0.1', port: 0, tls: options.tls },
    },
    signal,
  );
  const stopAgent = async (): Promise<void> => {
    await kubelet.stop();
    await recorder.close();
  };
  return {
    kubelet,
    runtime,
    recorder,
    stop: async () => {
      await stopAgent();
      await runtime.close();
    },
    destroy: async () => {
      // First the agent, which would otherwise start everything again.
      await stopAgent();
      for (const { id } of await runtime.listPodSandboxes(signal)) {
        await runtime.removePodSandbox(id, AbortSignal.timeout(20_000));
      }
      await runtime.close();
    },
  };
}
