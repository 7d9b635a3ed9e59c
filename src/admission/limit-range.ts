import type { Container, Pod } from '../kube/pod.ts';
import { addQuantities, compareQuantities, quantityValue } from '../kube/quantity.ts';

type Amounts = Readonly<Record<string, string | number>>;

type Resources = NonNullable<Container['resources']>;

/** One limit of a LimitRange. */
export interface Limit {
  readonly type: string;
  readonly max?: Amounts;
  readonly min?: Amounts;
  readonly default?: Amounts;
  readonly defaultRequest?: Amounts;
  readonly maxLimitRequestRatio?: Amounts;
}

const ANNOTATION = 'kubernetes.io/limit-ranger';

/** Fills in, in place, the requests and limits that a Pod's containers leave open, and notes what was set. */
export function applyLimitDefaults(pod: Pod, limits: readonly Limit[]): void {
  const containerLimits = limits.filter(({ type }) => type === 'Container');
  const requests = Object.assign(
    {},
    ...containerLimits.map((limit) => limit.defaultRequest ?? {}),
  ) as Amounts;
  const bounds = Object.assign({}, ...containerLimits.map((limit) => limit.default ?? {})) as Amounts;
  const notes: string[] = [];
  const fill = (container: Container, prefix: string): void => {
    for (const [key, defaults, what] of [
      ['requests', requests, 'request'],
      ['limits', bounds, 'limit'],
    ] as const) {
      const present = container.resources?.[key] ?? {};
      const added = Object.keys(defaults)
        .filter((name) => !Object.hasOwn(present, name))
        .toSorted();
      if (added.length === 0) continue;
      const filled = { ...present };
      for (const name of added) filled[name] = defaults[name] ?? '0';
      container.resources = { ...container.resources, [key]: filled };
      notes.push(`${added.join(', ')} ${what} for ${prefix} ${container.name}`);
    }
  };
  for (const container of pod.spec.containers) fill(container, 'container');
  for (const container of pod.spec.initContainers ?? []) fill(container, 'init container');
  if (notes.length === 0) return;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [ANNOTATION]: `LimitRanger plugin set: ${notes.join('; ')}`,
  };
}

/** Says which limits a Pod goes beyond; empty when none. */
export function podLimitFaults(pod: Pod, limits: readonly Limit[]): string[] {
  const faults: string[] = [];
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  for (const limit of limits) {
    if (limit.type === 'Container') {
      for (const { resources } of containers) faults.push(...limitFaults(limit, resources ?? {}));
    }
    if (limit.type === 'Pod') {
      faults.push(
        ...limitFaults(limit, { requests: podAmounts(pod, 'requests'), limits: podAmounts(pod, 'limits') }),
      );
    }
  }
  return faults;
}

/** Says which limits a claim goes beyond; empty when none. */
export function claimLimitFaults(requests: Amounts, limits: readonly Limit[]): string[] {
  return limits
    .filter(({ type }) => type === 'PersistentVolumeClaim')
    .flatMap(({ type, min = {}, max = {} }) => [
      ...names(min).flatMap((name) => minimum(type, name, min[name] ?? '0', { requests })),
      ...names(max).flatMap((name) => {
        const request = requests[name] ?? '0';
        const bound = max[name] ?? '0';
        if (compareQuantities(request, bound) <= 0) return [];
        return [`maximum ${name} usage per ${type} is ${bound}, but request is ${request}`];
      }),
    ]);
}

/** Adds up what a Pod asks for: containers and sidecars together, or the largest start if that is more. */
export function podAmounts(pod: Pod, key: 'requests' | 'limits'): Record<string, string> {
  const total: Record<string, string> = {};
  const add = (into: Record<string, string>, amounts: Amounts): void => {
    for (const [name, amount] of Object.entries(amounts))
      into[name] = addQuantities(into[name] ?? '0', amount);
  };
  for (const { resources } of pod.spec.containers) add(total, resources?.[key] ?? {});
  const peak: Record<string, string> = {};
  const sidecars: Record<string, string> = {};
  for (const { resources, restartPolicy } of pod.spec.initContainers ?? []) {
    const amounts = resources?.[key] ?? {};
    if (restartPolicy === 'Always') {
      add(total, amounts);
      add(sidecars, amounts);
      continue;
    }
    for (const [name, amount] of Object.entries(amounts)) {
      const now = addQuantities(amount, sidecars[name] ?? '0');
      if (peak[name] === undefined || compareQuantities(now, peak[name]) > 0) peak[name] = now;
    }
  }
  for (const [name, amount] of Object.entries(peak)) {
    if (total[name] === undefined || compareQuantities(amount, total[name]) > 0) total[name] = amount;
  }
  return total;
}

function limitFaults(limit: Limit, resources: Resources): string[] {
  const { type, min = {}, max = {}, maxLimitRequestRatio: ratios = {} } = limit;
  return [
    ...names(min).flatMap((name) => minimum(type, name, min[name] ?? '0', resources)),
    ...names(max).flatMap((name) => maximum(type, name, max[name] ?? '0', resources)),
    ...names(ratios).flatMap((name) => ratio(type, name, ratios[name] ?? '0', resources)),
  ];
}

const names = (amounts: Amounts): string[] => Object.keys(amounts).toSorted();

function minimum(
  type: string,
  name: string,
  bound: string | number,
  { requests, limits }: Resources,
): string[] {
  const start = `minimum ${name} usage per ${type} is ${bound}`;
  const request = requests?.[name];
  const limit = limits?.[name];
  if (request === undefined) return [`${start}.  No request is specified`];
  if (compareQuantities(request, bound) < 0) return [`${start}, but request is ${request}`];
  if (limit !== undefined && compareQuantities(limit, bound) < 0) return [`${start}, but limit is ${limit}`];
  return [];
}

function maximum(
  type: string,
  name: string,
  bound: string | number,
  { requests, limits }: Resources,
): string[] {
  const start = `maximum ${name} usage per ${type} is ${bound}`;
  const request = requests?.[name];
  const limit = limits?.[name];
  if (limit === undefined) return [`${start}.  No limit is specified`];
  if (compareQuantities(limit, bound) > 0) return [`${start}, but limit is ${limit}`];
  if (request !== undefined && compareQuantities(request, bound) > 0)
    return [`${start}, but request is ${request}`];
  return [];
}

function ratio(
  type: string,
  name: string,
  bound: string | number,
  { requests, limits }: Resources,
): string[] {
  const start = `${name} max limit to request ratio per ${type} is ${bound}`;
  const request = quantityValue(requests?.[name] ?? '0');
  const limit = quantityValue(limits?.[name] ?? '0');
  if (request === 0) return [`${start}, but no request is specified or request is 0`];
  if (limit === 0) return [`${start}, but no limit is specified or limit is 0`];
  const given = limit / request;
  return given > quantityValue(bound) ? [`${start}, but provided ratio is ${given.toFixed(6)}`] : [];
}

/** Joins findings as the API joins errors. */
export function joinFaults(faults: readonly string[]): string {
  const unique = [...new Set(faults)];
  return unique.length === 1 ? (unique[0] ?? '') : `[${unique.join(', ')}]`;
}
