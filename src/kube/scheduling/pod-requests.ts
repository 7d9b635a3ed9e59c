import type { Container, Pod } from '../pod.ts';
import { quantityValue } from '../quantity.ts';

/** Returns what a Pod asks of a node: the sum of its containers, or more where an init container needs more at once. */
export function podRequests(pod: Pod): Map<string, number> {
  const total = new Map<string, number>();
  const sidecars = new Map<string, number>();
  for (const container of pod.spec.containers) addTo(total, requests(container));
  const peaks = new Map<string, number>();
  for (const container of pod.spec.initContainers ?? []) {
    const asked = requests(container);
    if (container.restartPolicy === 'Always') {
      // A sidecar keeps running: it counts beside everything that starts after it.
      addTo(sidecars, asked);
      addTo(total, asked);
      maxInto(peaks, sidecars);
    } else {
      const together = new Map(sidecars);
      addTo(together, asked);
      maxInto(peaks, together);
    }
  }
  maxInto(total, peaks);
  const overhead = pod.spec['overhead'] as Record<string, string> | undefined;
  addTo(total, new Map(Object.entries(overhead ?? {}).map(([name, value]) => [name, quantityValue(value)])));
  return total;
}

function requests(container: Container): Map<string, number> {
  const asked = { ...container.resources?.limits, ...container.resources?.requests };
  return new Map(Object.entries(asked).map(([name, value]) => [name, quantityValue(value)]));
}

/** Adds amounts to a sum, in place. */
export function addTo(total: Map<string, number>, more: ReadonlyMap<string, number>): void {
  for (const [name, value] of more) total.set(name, (total.get(name) ?? 0) + value);
}

function maxInto(total: Map<string, number>, other: ReadonlyMap<string, number>): void {
  for (const [name, value] of other) total.set(name, Math.max(total.get(name) ?? 0, value));
}

interface HostPort {
  readonly protocol: string;
  readonly port: number;
  readonly address: string;
}

const ANY_ADDRESS = '0.0.0.0';

/** Tells whether two Pods want the same port of the machine: at one address, or one of them at every. */
export function hostPortsClash(pod: Pod, other: Pod): boolean {
  const taken = hostPorts(other);
  return hostPorts(pod).some(({ protocol, port, address }) =>
    taken.some(
      (their) =>
        their.protocol === protocol &&
        their.port === port &&
        (their.address === address || their.address === ANY_ADDRESS || address === ANY_ADDRESS),
    ),
  );
}

/** Lists the ports of the machine that a Pod takes for as long as it runs. */
function hostPorts(pod: Pod): HostPort[] {
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...pod.spec.containers, ...sidecars].flatMap((container) =>
    (container.ports ?? [])
      .filter((port) => (port.hostPort ?? 0) > 0)
      .map((port) => ({
        protocol: port.protocol ?? 'TCP',
        port: port.hostPort ?? 0,
        address: port.hostIP === undefined || port.hostIP === '' ? ANY_ADDRESS : port.hostIP,
      })),
  );
}
