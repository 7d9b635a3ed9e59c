import { getCompileCacheDir } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';

/** Most worker threads: more than this many layers at once wait for the disk anyway. */
const MAX_WORKERS = 8;
/** Threads of a pool when nothing else is said: one a processor. */
export const THREADS = Math.min(MAX_WORKERS, availableParallelism());
/**
 * Heap of a thread for young objects. Chunks of inflated bytes hang on these, so a larger one only keeps more of them from being
 * freed: 2 costs no time and saves some 20 MB a thread.
 */
const YOUNG_MB = 2;

/** Threads that were started ahead, until a pool takes them. */
const spare: Worker[] = [];

/**
 * Starts threads for a pool that is going to be: a program that knows so as it starts saves the time that it takes them, since
 * its own modules are loaded meanwhile. They keep no process alive.
 *
 * @param count one a processor by default
 */
export function startThreadsAhead(count = THREADS): void {
  while (spare.length < count) {
    const worker = startThread();
    // Whoever would have had this one starts another, and hears what is wrong with it.
    worker.on('error', () => undefined);
    worker.once('exit', () => {
      const place = spare.indexOf(worker);
      if (place >= 0) spare.splice(place, 1);
    });
    spare.push(worker);
  }
}

/** Returns a thread that was started ahead, or starts one. It keeps no process alive. */
export function takeThread(): Worker {
  return spare.pop() ?? startThread();
}

function startThread(): Worker {
  // Sources run as they are, so the worker is a `.ts` file beside a `.ts` file and a `.js` file beside a `.js` file.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./unpack-worker.${extension}`, import.meta.url), {
    execArgv: [],
    env: workerEnvironment(),
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
  worker.unref();
  return worker;
}

/** A thread does not take over the compile cache by itself; without it, it starts slower and holds the compiler's memory. */
function workerEnvironment(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir();
  // Node keeps each version's part of the cache in a directory of its own, and tells that one.
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) };
}
