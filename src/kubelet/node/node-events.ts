import type { EventObject, EventRecorder } from '../ensure-image.ts';
import type { NodeStatus } from './node-object.ts';

/** What each condition is called in the node's events when it is true and when it is not. */
const NAMES: Readonly<Record<string, readonly [string, string]>> = {
  MemoryPressure: ['NodeHasInsufficientMemory', 'NodeHasSufficientMemory'],
  DiskPressure: ['NodeHasDiskPressure', 'NodeHasNoDiskPressure'],
  PIDPressure: ['NodeHasInsufficientPID', 'NodeHasSufficientPID'],
  Ready: ['NodeReady', 'NodeNotReady'],
};

/**
 * Records what changed in a node's conditions, in the kubelet's words: all of them are `Normal`. An agent that has just begun
 * (`before` absent) tells of every pressure, and of readiness only where the API has not heard of it.
 *
 * @param stored what the API had when the agent began
 */
export function recordConditions(
  recorder: EventRecorder,
  node: EventObject,
  before: NodeStatus | undefined,
  after: NodeStatus,
  stored: NodeStatus | undefined,
): void {
  for (const { type, status } of after.conditions ?? []) {
    const known = before ?? (type === 'Ready' ? stored : undefined);
    if (known?.conditions?.find((condition) => condition.type === type)?.status === status) continue;
    const names = NAMES[type];
    if (names === undefined) continue;
    const reason = names[status === 'True' ? 0 : 1];
    recorder.event(node, 'Normal', reason, `Node ${node.name} status is now: ${reason}`);
  }
}

/** Records that the machine was started anew since the API last heard of it. */
export function recordReboot(
  recorder: EventRecorder,
  node: EventObject,
  bootId: string,
  stored: NodeStatus | undefined,
): void {
  const before = stored?.nodeInfo?.['bootID'];
  if (before === undefined || before === '' || before === bootId) return;
  recorder.event(node, 'Warning', 'Rebooted', `Node ${node.name} has been rebooted, boot id: ${bootId}`);
}
