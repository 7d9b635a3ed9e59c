import type { Pod, PodTemplate } from '../kube/pod.ts';

/* Indexed Jobs: each completion has a number, and each number one Pod at a time. */

export const INDEX_ANNOTATION = 'batch.kubernetes.io/job-completion-index';

/** The index of a Pod of an indexed Job, or -1. */
export function indexOf(pod: Pod): number {
  return Number(pod.metadata.annotations?.[INDEX_ANNOTATION] ?? -1);
}

/** Reads `0-2,5` into a set. */
export function completedIndexes(text: string | undefined): Set<number> {
  const done = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (match === null) continue;
    for (let index = Number(match[1]); index <= Number(match[2] ?? match[1]); index++) done.add(index);
  }
  return done;
}

/** Prints a set as `0-2,5`; two in a row are no range: `7,8`. */
export function formatIndexes(done: ReadonlySet<number>): string {
  const parts: string[] = [];
  const sorted = [...done].sort((a, b) => a - b);
  for (let i = 0; i < sorted.length;) {
    const first = sorted[i] ?? 0;
    let last = first;
    while (sorted[i + 1] === last + 1) {
      last++;
      i++;
    }
    if (last > first + 1) parts.push(`${first}-${last}`);
    else parts.push(...new Set([String(first), String(last)]));
    i++;
  }
  return parts.join(',');
}

/** Returns the lowest indexes that are neither done nor running, at most `count`. */
export function freeIndexes(
  completions: number,
  active: readonly Pod[],
  done: ReadonlySet<number>,
  count: number,
): number[] {
  const taken = new Set(active.map(indexOf));
  const free: number[] = [];
  for (let index = 0; index < completions && free.length < count; index++) {
    if (!done.has(index) && !taken.has(index)) free.push(index);
  }
  return free;
}

/** Generated names have room for so many characters before what is generated. */
const MAX_BASE = 58;

/** Returns the beginning of the name of an index's Pod, `JOB-INDEX-`; a long name of the Job is cut. */
export function indexedName(job: string, index: number): string {
  const end = `-${index}-`;
  return job.slice(0, MAX_BASE - end.length) + end;
}

/** Tells the Pod its index: as label, environment variable and host name. */
export function withIndex(template: PodTemplate, index: number, job: string): PodTemplate {
  const variable = {
    name: 'JOB_COMPLETION_INDEX',
    valueFrom: { fieldRef: { fieldPath: `metadata.labels['${INDEX_ANNOTATION}']` } },
  };
  const addTo = <T extends { env?: unknown[] }>(container: T): T => ({
    ...container,
    env: [...(container.env ?? []), variable],
  });
  const { spec } = template;
  return {
    ...template,
    metadata: {
      ...template.metadata,
      labels: { ...template.metadata?.labels, [INDEX_ANNOTATION]: String(index) },
    },
    spec: {
      ...spec,
      hostname: `${job}-${index}`,
      containers: spec.containers.map(addTo),
      ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(addTo) }),
    },
  };
}
