import type { Fit } from './scheduling-fit.ts';

/* Why a Pod fits nowhere, as `kubectl describe` shows it. Pure. */

/** @param tail what came of looking for Pods to push off; empty when some were found */
export function unschedulableMessage(fits: readonly Fit[], tail: string): string {
  if (fits.length === 0) return 'no nodes available to schedule pods';
  return joined(available(fits.length, countReasons(fits)), tail);
}

/** Words what keeps a Pod from every node at once. */
export function nowhereMessage(why: string, total: number): string {
  if (total === 0) return 'no nodes available to schedule pods';
  const nowhere = Array.from({ length: total }, () => HELPLESS);
  return joined(`0/${total} nodes are available: ${why}.`, pushNobody(nowhere));
}

/** Says for each node why nobody can be pushed off there. */
export function pushNobody(reasons: readonly Fit[]): string {
  return neverPush(available(reasons.length, countReasons(reasons)));
}

/** Words why a Pod may not push others off. */
export function neverPush(why: string): string {
  return `no new claims to deallocate, preemption: ${why}`;
}

/** Of nodes where others leaving would not help. */
export const HELPLESS: Fit = {
  fits: false,
  reasons: ['Preemption is not helpful for scheduling'],
  helpless: true,
};

function joined(start: string, tail: string): string {
  return tail === '' ? start : `${start} ${tail}`;
}

function available(total: number, words: readonly string[]): string {
  return `0/${total} nodes are available: ${words.join(', ')}.`;
}

function countReasons(fits: readonly Fit[]): string[] {
  const counts = new Map<string, number>();
  for (const fit of fits) {
    if (fit.fits) continue;
    for (const reason of fit.reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
}
