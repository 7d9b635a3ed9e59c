import { messageOf } from '../base/coded-error.ts';
import type { Pod } from '../kube/pod.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import type { EventRecorder } from './ensure-image.ts';
import { podHostname, writeEtcHosts } from './etc-hosts.ts';
import type { PodKiller } from './pod-killer.ts';
import type { PodPaths } from './pod-paths.ts';
import { podEventObject, podNamespace, podUid } from './pod-reference.ts';
import { sandboxLabels } from './runtime-labels.ts';
import type { RuntimePod } from './runtime-pod.ts';

export interface SandboxRequest {
  readonly pod: Pod;
  readonly running: RuntimePod;
  readonly runtime: RuntimeService;
  readonly recorder: EventRecorder;
  readonly paths: PodPaths;
  readonly address: string;
  readonly killer: PodKiller;
}

/** Makes a Pod's sandbox, in place of one that has ended; what was left in the old one ends first. */
export async function makeSandbox(
  request: SandboxRequest,
  signal: AbortSignal,
): Promise<{ readonly id: string } | { readonly error: string }> {
  const { pod, running, runtime, recorder, paths, address, killer } = request;
  const current = running.sandboxes[0];
  if (current !== undefined) {
    recorder.event(
      podEventObject(pod),
      'Normal',
      'SandboxChanged',
      'Pod sandbox changed, it will be killed and re-created.',
    );
    await killer.killPod(pod, running, undefined, signal);
  }
  try {
    await writeEtcHosts(paths.etcHosts(podUid(pod)), pod, address);
    const id = await runtime.runPodSandbox(
      {
        name: pod.metadata.name,
        uid: podUid(pod),
        namespace: podNamespace(pod),
        attempt: (current?.config.attempt ?? -1) + 1,
        hostname: podHostname(pod),
        logDirectory: paths.logDirectory(pod),
        labels: sandboxLabels(pod),
        annotations: pod.metadata.annotations ?? {},
      },
      signal,
    );
    return { id };
  } catch (error) {
    signal.throwIfAborted();
    const message = `Failed to create pod sandbox: ${messageOf(error)}`;
    recorder.event(podEventObject(pod), 'Warning', 'FailedCreatePodSandBox', message);
    return { error: message };
  }
}
