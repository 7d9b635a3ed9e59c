// Loaded into a pull with --import: writes the 99th percentile of its event loop's delay, in milliseconds, when it ends.
import { writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/** How often the delay is looked at; what is measured has that much in it when nothing is in the way. */
const RESOLUTION_MS = 5;

const file = process.env['DRAYAGE_BENCH_LOOP_DELAY'];
if (isMainThread && file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  process.once('exit', () => writeFileSync(file, String(delay.percentile(99) / 1e6 - RESOLUTION_MS)));
}
