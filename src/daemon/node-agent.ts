import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import type { FileStore } from '../content/file-store.ts';
import { NodeFiles } from '../credentials/node-files.ts';
import type { KubeClient } from '../kube/client/kube-client.ts';
import { createEventRecorder } from '../kubelet/event-recorder.ts';
import type { EvictionThreshold } from '../kubelet/images/eviction-thresholds.ts';
import type { ImageGcForecast } from '../kubelet/images/gc-forecast.ts';
import { imageGcPolicy } from '../kubelet/images/image-gc-policy.ts';
import { NodeImageManager } from '../kubelet/images/image-manager.ts';
import { instrumentedImageService } from '../kubelet/images/instrumented-image-service.ts';
import { NodeMetrics } from '../kubelet/images/node-metrics.ts';
import { PulledImages } from '../kubelet/images/pulled-images.ts';
import { DEFAULT_IMAGE_SETTINGS, type ImageSettings } from '../kubelet/images/settings.ts';
import { keptObjects } from '../kubelet/kept-objects.ts';
import { logEvents } from '../kubelet/log-events.ts';
import { apiObjects, NO_OBJECTS } from '../kubelet/object-source.ts';
import { podCandidates, PodPullSecrets } from '../kubelet/pull-secrets-of-pod.ts';
import type { PlainPort } from '../kubelet/server/plain-ports.ts';
import { startKubelet } from '../kubelet/start-kubelet.ts';
import type { Logger } from '../observe/logger.ts';
import { hostPlatform } from '../oci/host-platform.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import type { RemoteClient } from '../remote/remote-client.ts';
import { apiServiceAccounts } from './api-service-accounts.ts';
import { connectNodeRuntime, openNodeRuntime, type RuntimeEndpoints } from './node-runtime.ts';
import { forecastWithoutNode, withPinReasons } from './image-gc-forecast.ts';
import { openNodeStores, type TransferLimits } from './node-stores.ts';
import { serveStores } from './stores/serve-stores.ts';

export interface NodeOptions {
  readonly name: string;
  /** Directory of the node's state, also the first place where its login files are looked for. */
  readonly root: string;
  /** Speaks as `system:node:NAME`; absent: the node stands alone and runs static Pods only. */
  readonly client: KubeClient | undefined;
  /** Certificate of the agent's endpoint, and whose clients it believes; absent: there is no endpoint. */
  readonly tls:
    | {
        readonly cert: string;
        readonly key: string;
        readonly clientCa: string;
        /** Who signed `cert`, where that is not the cluster's authority. */
        readonly authority?: string;
      }
    | undefined;
  /** What the node claims to be and pulls for; the machine's own when absent. */
  readonly platform?: Platform;
  /** Directories that say how to reach registries; the root's own and the system's when absent. */
  readonly hostRoots?: readonly string[];
  /** Directory of persistent volume claims, when nodes share them. */
  readonly claims?: string;
  /** Directory or file of static Pods. */
  readonly staticPods?: string;
  /** Where it tells of itself without TLS; nowhere when absent. */
  readonly plainPorts?: readonly PlainPort[];
  /** Variables for every container: where the API is. */
  readonly clusterEnv: Readonly<Record<string, string>>;
  /** How images are pulled, verified and kept; Kubernetes' defaults when absent. */
  readonly imageSettings?: ImageSettings;
  readonly credentialProviders?: CredentialProviderFiles;
  /** Another runtime that pulls and runs in place of the node's own. */
  readonly endpoints?: RuntimeEndpoints;
  /** When the node counts as short of something; absent: never, as it shares the machine with other work. */
  readonly eviction?: NodeEviction;
  /** Milliseconds without a new byte after which a pull is ended (rule 17.1); 0 is never. */
  readonly progressTimeoutMs?: number;
  /** What pulls may take of the network. */
  readonly transfers?: TransferLimits;
  readonly logger: Logger;
  readonly remark: (text: string) => void;
}

/** What a KubeletConfiguration says of eviction. */
export interface NodeEviction {
  readonly thresholds: readonly EvictionThreshold[];
  /** How long a condition stays after it was last seen, in milliseconds; Kubernetes' five minutes when absent. */
  readonly transitionPeriod?: number | undefined;
  /** Longest time that Pods get to end when a soft threshold evicts them, in seconds; below 0 there is no bound. */
  readonly maxPodGraceSeconds?: number | undefined;
}

/** Where the configuration and the programs of credential-provider plug-ins lie (rule 9.1). */
export interface CredentialProviderFiles {
  /** A file or a directory. */
  readonly configPath: string;
  readonly binDirectory: string;
}

/** A node of this machine, running. */
export interface NodeAgent {
  readonly name: string;
  /** What it is and how it runs containers: `linux/amd64, runc`. */
  readonly description: string;
  readonly content: FileStore;
  readonly remote: RemoteClient;
  /** Where kubelets and crictl reach its image service: `unix:///var/lib/drayage/cri.sock`; absent when it has none. */
  readonly criEndpoint: string | undefined;
  /** Stops the agent; containers go on. */
  close(): Promise<void>;
}

/** Starts a node: image stores, runtime, credentials, image manager and kubelet, in this order. */
export async function startNode(options: NodeOptions, signal: AbortSignal): Promise<NodeAgent> {
  const { root, logger, client, name } = options;
  const clock = systemClock;
  const platform = options.platform ?? hostPlatform();
  const settings = options.imageSettings ?? DEFAULT_IMAGE_SETTINGS;
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const each of closers.reverse().splice(0)) await each();
  };
  const metrics = new NodeMetrics();
  const stopping = new AbortController();
  const alive = AbortSignal.any([signal, stopping.signal]);
  try {
    const providers =
      options.credentialProviders === undefined
        ? undefined
        : await (
            await import('../credentials/provider/start-credential-providers.ts')
          ).startCredentialProviders({
            ...options.credentialProviders,
            clock,
            ...(client === undefined ? {} : { serviceAccounts: apiServiceAccounts(client, clock) }),
            observer: {
              failed: (provider, message) => logger.error({ provider }, message),
              executed: (provider, seconds, failed) => metrics.providerExecuted(provider, seconds, failed),
              configured: (hash) => metrics.providersConfigured(hash),
            },
          });
    if (providers !== undefined) closers.push(async () => providers.close());
    const stores = await openNodeStores({
      root,
      logger,
      platform,
      ...(options.endpoints === undefined ? { metrics: metrics.pulls } : {}),
      ...(options.hostRoots === undefined ? {} : { hostRoots: options.hostRoots }),
      ...(options.progressTimeoutMs === undefined ? {} : { progressTimeoutMs: options.progressTimeoutMs }),
      ...(options.transfers === undefined ? {} : { transfers: options.transfers }),
    });
    closers.push(() => stores.close());
    // Whoever asks before the agent is there hears what can be told without it.
    const clean: { forecast?: (now: AbortSignal) => Promise<ImageGcForecast> } = {};
    const served = await serveStores(root, {
      ...stores,
      forecastImageGc: (now) => clean.forecast?.(now) ?? forecastWithoutNode(root, stores, clock.now(), now),
    });
    // Commands that work through the node when it stops are cut off, and say so.
    closers.push(() => served.close(AbortSignal.abort()));
    const runtimeOptions = {
      root,
      stores,
      requestTimeoutMs: settings.runtimeRequestTimeout,
      logger,
      remark: options.remark,
    };
    const engine =
      options.endpoints === undefined
        ? await openNodeRuntime(runtimeOptions, signal)
        : await connectNodeRuntime(runtimeOptions, options.endpoints, signal);
    closers.push(() => engine.close());
    const { runtime } = engine;
    const imageService = instrumentedImageService(engine.images, metrics, clock);

    const recorder =
      client === undefined
        ? logEvents(logger)
        : createEventRecorder({ client, component: 'kubelet', host: name, clock, logger });
    closers.push(() => recorder.close());
    const objects = client === undefined ? NO_OBJECTS : keptObjects(apiObjects(client), alive);
    const pullSecrets = new PodPullSecrets({ objects, recorder });
    const records = await PulledImages.open({
      root,
      policy: settings.verificationPolicy,
      allowlist: settings.verificationAllowlist,
      maxPods: settings.maxPods,
      maxParallelImagePulls: settings.maxParallelImagePulls,
      clock,
      report: (message, error) => logger.warn({ error: messageOf(error) }, message),
    });
    await records.reconcile(await engine.images.listImages(undefined, signal));
    metrics.watchRecords(() => records.statistics());
    const imageManager = new NodeImageManager({
      imageService,
      candidates: podCandidates({
        secrets: pullSecrets,
        nodeFiles: new NodeFiles({ rootDirectory: root, clock }),
        ...(providers === undefined ? {} : { providers }),
      }),
      records: settings.verifyPulledImages ? records : undefined,
      recorder,
      clock,
      settings,
      metrics: metrics.imageManager,
      signal: alive,
      onDecision: (request, trace) =>
        logger.debug({ image: request.image, pod: request.pod.metadata.name, trace }, 'image decision'),
    });
    const kubelet = await startKubelet(
      {
        client,
        nodeName: name,
        platform,
        root: join(root, 'kubelet'),
        images: imageService,
        imageManager,
        runtime,
        recorder,
        pullSecrets,
        objects,
        ...(options.tls === undefined
          ? {}
          : {
              endpoint: {
                host: '127.0.0.1',
                port: 0,
                tls: {
                  cert: options.tls.cert,
                  key: options.tls.key,
                  ca: options.tls.clientCa,
                  ...(options.tls.authority === undefined ? {} : { authority: options.tls.authority }),
                },
              },
            }),
        ...(options.claims === undefined ? {} : { claims: options.claims }),
        ...(options.staticPods === undefined ? {} : { staticPods: options.staticPods }),
        ...(options.plainPorts === undefined ? {} : { plainPorts: options.plainPorts }),
        maxPods: settings.maxPods,
        clusterEnv: options.clusterEnv,
        maxNodeImages: settings.nodeStatusMaxImages,
        imageGc: {
          policy: imageGcPolicy(settings),
          afterSpacePass: (present, startedAt) => records.prune(present, startedAt),
          reclaim: () => engine.reclaim(),
          removingMany: (removals) => stores.images.removingMany(removals),
        },
        metrics,
        ...(engine.usage === undefined ? {} : { containerUsage: engine.usage }),
        ...(options.eviction === undefined
          ? {}
          : {
              evictionThresholds: options.eviction.thresholds,
              ...(options.eviction.transitionPeriod === undefined
                ? {}
                : { evictionTransitionPeriod: options.eviction.transitionPeriod }),
              ...(options.eviction.maxPodGraceSeconds === undefined
                ? {}
                : { evictionMaxPodGraceSeconds: options.eviction.maxPodGraceSeconds }),
            }),
        clock,
        logger,
      },
      signal,
    );
    clean.forecast = async (now) => withPinReasons(await kubelet.forecastImageGc(now), stores.images);
    closers.push(async () => {
      stopping.abort(new Error('the node stops'));
      await kubelet.stop();
    });
    return {
      name,
      criEndpoint: engine.criEndpoint,
      description: `${formatPlatform(platform)}, ${engine.description}`,
      content: stores.content,
      remote: stores.remote,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
