import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { writeKubeconfig } from '../src/daemon/kubeconfig.ts';
import { startNodeProcess } from '../test/support/node-process.ts';
import { makeRoot, removeRoot } from '../test/support/running-system.ts';
import { startTestApi } from '../test/support/test-api.ts';
import { cpuSeconds, residentBytes } from './node-process-facts.ts';
import type { Row } from './row.ts';

const NODE = 'idle';
const SETTLE_MS = 10_000;
const WATCH_MS = 60_000;
const MAX_SHARE = 0.01;
const MAX_BYTES = 120e6;

/** An agent that has nothing to do: what it takes while it renews its lease and watches. */
export async function idleRows(): Promise<Row[]> {
  const root = makeRoot();
  const api = await startTestApi();
  const kubeconfig = join(root, 'kubeconfig');
  const user = await api.certificate(`system:node:${NODE}`, 'system:nodes');
  await writeKubeconfig(kubeconfig, { name: 'bench', server: api.server.url, ca: api.pki.ca.cert, user });
  const args = ['--kubeconfig', kubeconfig, '--root', join(root, 'own'), '--node-name', NODE];
  try {
    // The second start is the usual one: certificates are there, and code that was compiled.
    await (await startNodeProcess(args)).stop();
    const node = await startNodeProcess(args);
    const pid = node.process.pid ?? 0;
    await delay(SETTLE_MS);
    const before = cpuSeconds(pid);
    await delay(WATCH_MS);
    const share = (cpuSeconds(pid) - before) / (WATCH_MS / 1000);
    const bytes = residentBytes(pid);
    await node.stop();
    return [
      {
        what: `idle agent: processor, over ${WATCH_MS / 1000} s`,
        measured: `${(share * 100).toFixed(2)} %`,
        target: '< 1 %',
        met: share < MAX_SHARE,
      },
      {
        what: 'idle agent: resident memory (dray node --kubeconfig)',
        measured: `${(bytes / 1e6).toFixed(0)} MB`,
        target: '< 120 MB',
        met: bytes < MAX_BYTES,
      },
    ];
  } finally {
    await api.close();
    removeRoot(root);
  }
}
