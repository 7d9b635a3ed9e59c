import { systemClock, type Clock } from '../base/clock.ts';
import type { KubeClient } from '../kube/client/kube-client.ts';
import { startAccountTokenSecrets } from './account-token-secrets.ts';
import type { SigningAuthority } from '../kube/certificates/sign-certificate.ts';
import { startCertificateSigner } from './certificate-signer.ts';
import { startAutoscalerController } from './autoscaler-controller.ts';
import { ControllerContext, type ControllerLogger } from './controller-context.ts';
import { EventRecorder } from './event-recorder.ts';
import { startRootCaController, startServiceAccountController } from './namespace-content.ts';
import { startClusterRoleAggregation } from './cluster-role-aggregation.ts';
import { startCronJobController } from './cron-job-controller.ts';
import { startDaemonSetController } from './daemon-set-controller.ts';
import { startDeploymentController } from './deployment-controller.ts';
import { startDisruptionController } from './disruption-controller.ts';
import { startJobController } from './job-controller.ts';
import { startNamespaceController } from './namespace-controller.ts';
import { runPodGarbageCollector } from './pod-garbage.ts';
import { startNodeLifecycle } from './node-lifecycle.ts';
import { startOwnerGarbageCollector } from './owner-garbage.ts';
import { startReplicaSetController, startReplicationController } from './replica-controller.ts';
import { startStatefulSetController } from './stateful-set-controller.ts';
import { startEphemeralClaims } from './ephemeral-claims.ts';
import { startStorageProtection } from './storage-protection.ts';
import { startVolumeBinder } from './volume-binder.ts';
import type { VolumeDirectories } from './volume-directories.ts';
import { startVolumeReleaser } from './volume-releaser.ts';
import { startScheduler } from './scheduler.ts';

export interface ControllersOptions {
  /** PEM of the CA that signs the API server's certificate; published in each namespace. */
  readonly rootCa: string;
  /** Signs certificates of clients that were asked for and approved; absent: somebody else does. */
  readonly clientAuthority?: SigningAuthority;
  /** Makes directories for volume claims; absent: claims wait for volumes made by hand. */
  readonly directories?: VolumeDirectories;
  readonly clock?: Clock;
  readonly logger?: ControllerLogger;
}

export interface Controllers {
  /** Resolves once every controller has seen the present state. */
  ready(): Promise<void>;
}

/** Starts all controllers and the scheduler against any API server; they stop when the signal aborts. */
export function startControllers(
  client: KubeClient,
  options: ControllersOptions,
  signal: AbortSignal,
): Controllers {
  const clock = options.clock ?? systemClock;
  const { logger } = options;
  const events = new EventRecorder(client, clock, signal, (error) => {
    logger?.warn({ err: error }, 'Cannot record an event');
  });
  const context = new ControllerContext({ client, clock, events, signal, logger });
  startNamespaceController(context);
  startServiceAccountController(context);
  startRootCaController(context, options.rootCa);
  startAccountTokenSecrets(context, options.rootCa);
  startClusterRoleAggregation(context);
  startNodeLifecycle(context);
  startScheduler(context);
  startReplicaSetController(context);
  startReplicationController(context);
  startDeploymentController(context);
  startStatefulSetController(context);
  startDaemonSetController(context);
  startJobController(context);
  startCronJobController(context);
  startDisruptionController(context);
  startVolumeBinder(context, options.directories);
  startVolumeReleaser(context, options.directories);
  startStorageProtection(context);
  startEphemeralClaims(context);
  startAutoscalerController(context);
  if (options.clientAuthority !== undefined) startCertificateSigner(context, options.clientAuthority);
  startOwnerGarbageCollector(context);
  void runPodGarbageCollector(context).catch((error: unknown) =>
    context.warn('collect finished pods', error),
  );
  return { ready: () => context.synced() };
}
