import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Milliseconds after the start at which its garbage is collected: what it loads late has been loaded then. */
const SETTLED_MS = 1_000;

/**
 * Collects the garbage of starting once, soon. A server that waits for its first request allocates nothing, so the engine
 * would keep what loading and compiling left, a tenth of an idle server's memory, until there is something to do.
 */
export function freeStartMemory(): void {
  const timer = setTimeout(() => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as (options: { type: 'major'; flavor: 'last-resort' }) => void;
    collect({ type: 'major', flavor: 'last-resort' });
  }, SETTLED_MS);
  timer.unref();
}
