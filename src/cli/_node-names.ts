import { hostname } from 'node:os';
import { messageOf } from '../base/coded-error.ts';
import type { NodeSpec } from '../daemon/system-nodes.ts';
import { subdomainFaults } from '../kube/validate/name-rules.ts';
import { parsePlatform } from '../oci/platform-specifier.ts';
import type { Platform } from '../oci/platform.ts';
import { UsageError } from './exit.ts';

/** A node in one process costs little; more than this is a slip of the finger. */
const MAX_NODES = 50;

/** Returns what the machine's own node is called. */
export function machineName(): string {
  return hostname().toLowerCase();
}

/** Reads a count of nodes. @throws UsageError */
export function nodeCountOf(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > MAX_NODES)
    throw new UsageError(`--nodes ${text}: a system has from 1 to ${MAX_NODES} nodes`);
  return count;
}

/** Checks a node's name. @throws UsageError */
export function nodeNameOf(text: string): string {
  const [fault] = subdomainFaults(text);
  if (fault !== undefined) throw new UsageError(`${JSON.stringify(text)} is no name of a node: ${fault}`);
  return text;
}

/** Reads `os/arch[/variant]` of a node. @throws UsageError */
export function nodePlatformOf(text: string): Platform {
  let platform: Platform;
  try {
    platform = parsePlatform(text);
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
  if (platform.os !== 'linux')
    throw new UsageError(`${text} is no platform of a node: containers of this machine are linux`);
  return platform;
}

/**
 * Names the nodes beside the machine's own: as many as make `count` in all, called MACHINE-2, MACHINE-3 and so on, and those
 * of the form `NAME[:os/arch[/variant]]`.
 *
 * @throws UsageError
 */
export function moreNodesOf(
  count: number,
  named: readonly string[],
  machine: string = machineName(),
): NodeSpec[] {
  const specs: NodeSpec[] = [];
  for (let number = 2; number <= count; number++) specs.push({ name: `${machine}-${number}` });
  for (const text of named) {
    const colon = text.indexOf(':');
    const name = nodeNameOf(colon < 0 ? text : text.slice(0, colon));
    specs.push(colon < 0 ? { name } : { name, platform: nodePlatformOf(text.slice(colon + 1)) });
  }
  const names = [machine, ...specs.map(({ name }) => name)];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`two nodes are called ${JSON.stringify(twice)}`);
  return specs;
}
