import { quantityValue } from '../../kube/quantity.ts';
import type { Container, Pod } from '../../kube/pod.ts';

/** What the node can give, for limits that a container does not set. */
export interface NodeCapacity {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
}

/**
 * Returns the value of `limits.cpu`, `requests.memory` and the like, divided by `divisor` and rounded up.
 * A limit that is not set is the node's; a request that is not set is 0.
 *
 * @throws Error for a resource that cannot be referred to
 */
export function resourceValue(
  pod: Pod,
  container: Container,
  reference: { containerName?: string; resource: string; divisor?: string },
  capacity: NodeCapacity,
): string {
  const target =
    reference.containerName === undefined || reference.containerName === ''
      ? container
      : [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(
          ({ name }) => name === reference.containerName,
        );
  if (target === undefined) throw new Error(`container ${reference.containerName ?? ''} not found`);
  const [kind, name] = splitOnce(reference.resource);
  if ((kind !== 'limits' && kind !== 'requests') || name === '') {
    throw new Error(`unsupported container resource : ${reference.resource}`);
  }
  const given = target.resources?.[kind]?.[name];
  const value = given === undefined ? missing(kind, name, capacity) : quantityValue(given);
  if (value === undefined) throw new Error(`unsupported container resource : ${reference.resource}`);
  const divisor =
    reference.divisor === undefined || reference.divisor === '0' ? 1 : quantityValue(reference.divisor);
  return String(Math.ceil(value / divisor));
}

function missing(kind: string, name: string, capacity: NodeCapacity): number | undefined {
  if (kind === 'requests') return 0;
  switch (name) {
    case 'cpu':
      return capacity.cpus;
    case 'memory':
      return capacity.memoryBytes;
    case 'ephemeral-storage':
      return capacity.storageBytes;
    default:
      return undefined;
  }
}

function splitOnce(text: string): [string, string] {
  const dot = text.indexOf('.');
  return dot < 0 ? [text, ''] : [text.slice(0, dot), text.slice(dot + 1)];
}
