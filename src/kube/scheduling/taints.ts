import type { Toleration } from '../pod.ts';

/** Keeps Pods away from a node, but for those that tolerate it. */
export interface Taint {
  key: string;
  value?: string;
  effect: string;
}

/** Returns the first taint that keeps the Pod away. `PreferNoSchedule` only makes a node less welcome. */
export function untolerated(
  tolerations: readonly Toleration[] | undefined,
  taints: readonly Taint[],
  effects: readonly string[] = ['NoSchedule', 'NoExecute'],
): Taint | undefined {
  return taints.find((taint) => effects.includes(taint.effect) && !tolerates(tolerations, taint));
}

/** Tells whether one of the tolerations is about the taint. */
export function tolerates(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return (tolerations ?? []).some((toleration) => {
    if ((toleration.effect ?? '') !== '' && toleration.effect !== taint.effect) return false;
    if ((toleration.key ?? '') !== '' && toleration.key !== taint.key) return false;
    const operator = toleration.operator ?? 'Equal';
    if (operator === 'Exists') return true;
    return (toleration.key ?? '') !== '' && (toleration.value ?? '') === (taint.value ?? '');
  });
}
