import type { Clock } from '../../base/clock.ts';
import type { RuntimeService } from '../../runtime/runtime-service.ts';

/** How long a runtime may be silent before the node counts as not ready; the kubelet's value. */
const SILENCE_MS = 30_000;

/** Makes a check that asks the runtime whether it is there; it says why the node is not ready once it has been away too long. */
export function runtimeWatch(
  runtime: RuntimeService,
  clock: Clock,
): (signal: AbortSignal) => Promise<string | undefined> {
  let heardAt = clock.now();
  return async (signal) => {
    try {
      await runtime.version(signal);
      heardAt = clock.now();
      return undefined;
    } catch {
      signal.throwIfAborted();
      return clock.now() - heardAt > SILENCE_MS ? 'container runtime is down' : undefined;
    }
  };
}
