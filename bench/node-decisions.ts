import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { openNodeStores } from '../src/daemon/node-stores.ts';
import type { Pod } from '../src/kube/pod.ts';
import { NodeImageManager } from '../src/kubelet/images/image-manager.ts';
import { PulledImages } from '../src/kubelet/images/pulled-images.ts';
import { DEFAULT_IMAGE_SETTINGS } from '../src/kubelet/images/settings.ts';
import { silentLogger } from '../src/observe/logger.ts';
import { hostPlatform } from '../src/oci/host-platform.ts';
import { FaultRegistry, sha256 } from '../test/support/fault-registry.ts';
import type { Row } from './row.ts';

const CROWD = 200;
const MAX_CPU_SECONDS = 5;
const LAYER_BYTES = 1_000_000;
const NEVER = new AbortController().signal;

/** Whether each of a crowd of Pods may run on one image, with real stores, records and registry and no containers. */
export async function decisionRows(): Promise<Row[]> {
  const root = mkdtempSync(join(tmpdir(), 'drayage-bench-'));
  const registry = await FaultRegistry.start();
  const stores = await openNodeStores({ root, hostRoots: [], logger: silentLogger });
  try {
    const layer = Buffer.alloc(LAYER_BYTES);
    const mediaType = 'application/vnd.oci.image.layer.v1.tar';
    registry.putImage('crowd', '1', [{ bytes: layer, diffId: sha256(layer), mediaType }], hostPlatform());
    const settings = { ...DEFAULT_IMAGE_SETTINGS, registryPullQps: 0 };
    const records = await PulledImages.open({
      root,
      policy: settings.verificationPolicy,
      allowlist: [],
      maxPods: CROWD,
      maxParallelImagePulls: undefined,
      clock: systemClock,
      report: () => undefined,
    });
    let events = 0;
    const manager = new NodeImageManager({
      imageService: stores.imageService,
      candidates: { candidates: () => Promise.resolve([]) },
      records,
      recorder: { event: () => void events++ },
      clock: systemClock,
      settings,
      signal: NEVER,
    });
    const podOf = (number: number): Pod => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `p${number}`, namespace: 'default', uid: `uid-${number}` },
      spec: { containers: [] },
    });
    const before = process.cpuUsage();
    const results = await Promise.all(
      Array.from({ length: CROWD }, (_, number) =>
        manager.ensureImage(
          {
            pod: podOf(number),
            fieldPath: 'spec.containers{a}',
            image: `${registry.host}/crowd:1`,
            pullPolicy: 'IfNotPresent',
          },
          NEVER,
        ),
      ),
    );
    const { user, system } = process.cpuUsage(before);
    const cpu = (user + system) / 1e6;
    if (!results.every(({ ok }) => ok)) throw new Error('a Pod did not get the image');
    const blobs = registry.count('GET', /blobs/);
    return [
      {
        what: `deciding for ${CROWD} Pods of one image at once that each may run, its one pull included: processor time`,
        measured: `${cpu.toFixed(2)} s`,
        target: `< ${MAX_CPU_SECONDS} s`,
        met: cpu < MAX_CPU_SECONDS && blobs === 2,
        note: `${blobs} blobs were fetched; ${events} events`,
      },
    ];
  } finally {
    await stores.close();
    await registry.close();
    rmSync(root, { recursive: true, force: true });
  }
}
