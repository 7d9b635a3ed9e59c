import { quantityValue } from '../kube/quantity.ts';
import type { Container, Pod } from '../kube/pod.ts';
import type { ContainerConfig } from '../runtime/runtime-service.ts';

/** One CPU in shares, the kernel's smallest share, the accounting period, and the kernel's smallest quota in it. */
const SHARES_PER_CPU = 1024;
const MIN_SHARES = 2;
const PERIOD_MICROS = 100_000;
const MIN_QUOTA_MICROS = 1000;

/** What the kernel's memory killer should think of a Pod: the kubelet's values. */
const GUARANTEED_OOM = -997;
const BEST_EFFORT_OOM = 1000;

/** Translates requests and limits into the runtime's terms. */
export function resourceConfig(
  pod: Pod,
  container: Container,
  memoryCapacity: number,
): Pick<ContainerConfig, 'resources' | 'oomScoreAdj'> {
  const { requests, limits } = container.resources ?? {};
  const cpuLimit = amount(limits?.['cpu']);
  const cpuRequest = amount(requests?.['cpu']) ?? cpuLimit ?? 0;
  const memoryLimit = amount(limits?.['memory']);
  const memoryRequest = amount(requests?.['memory']) ?? memoryLimit ?? 0;
  return {
    resources: {
      cpuShares: Math.max(MIN_SHARES, Math.floor(cpuRequest * SHARES_PER_CPU)),
      ...(memoryLimit === undefined || memoryLimit === 0 ? {} : { memoryBytes: Math.floor(memoryLimit) }),
      ...(cpuLimit === undefined || cpuLimit === 0
        ? {}
        : {
            cpuPeriodMicros: PERIOD_MICROS,
            cpuQuotaMicros: Math.max(MIN_QUOTA_MICROS, Math.floor(cpuLimit * PERIOD_MICROS)),
          }),
    },
    oomScoreAdj: oomScore(pod, memoryRequest, memoryCapacity),
  };
}

function oomScore(pod: Pod, memoryRequest: number, memoryCapacity: number): number {
  const qos = pod.status?.qosClass;
  if (qos === 'Guaranteed') return GUARANTEED_OOM;
  if (qos !== 'Burstable') return BEST_EFFORT_OOM;
  const score = 1000 - Math.floor((1000 * memoryRequest) / Math.max(1, memoryCapacity));
  return Math.min(Math.max(score, 1000 + GUARANTEED_OOM), BEST_EFFORT_OOM - 1);
}

function amount(value: string | number | undefined): number | undefined {
  return value === undefined ? undefined : quantityValue(value);
}
