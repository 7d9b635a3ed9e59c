import type { Pod } from '../kube/pod.ts';
import { parseTime } from '../kube/time.ts';

/** What a Pod whose time is up says; the kubelet's words. */
export const DEADLINE_REASON = 'DeadlineExceeded';
export const DEADLINE_MESSAGE = 'Pod was active on the node longer than the specified deadline';

/** Returns when a Pod's active deadline is over, in milliseconds since the epoch; undefined when it has none or has not begun. */
export function activeDeadline(pod: Pod): number | undefined {
  const seconds = pod.spec.activeDeadlineSeconds;
  const start = pod.status?.startTime;
  if (seconds === undefined || start === undefined) return undefined;
  const begun = parseTime(start);
  return begun === undefined ? undefined : begun + seconds * 1000;
}
