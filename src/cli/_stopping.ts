import { EXIT } from './exit.ts';

/** Why everything ends: somebody asked for it. */
class Stopped extends Error {
  constructor() {
    super('dray was asked to stop');
  }
}

/** Aborts when the user or the system asks the program to stop; a second time leaves at once. */
export function stopOnSignals(): AbortController {
  const ending = new AbortController();
  let stops = 0;
  const stop = (): void => {
    stops++;
    if (stops > 1) process.exit(EXIT.failure);
    ending.abort(new Stopped());
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
  return ending;
}

/** Resolves once it is time to end. */
export async function untilStopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
