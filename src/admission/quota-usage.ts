import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { addQuantities, compareQuantities } from '../kube/quantity.ts';
import { qosClassOf } from '../kube/strategy.ts';
import type { JsonObject } from '../kube/json/json-object.ts';
import { podAmounts } from './limit-range.ts';

export type Usage = Record<string, string>;

/** What a ResourceQuota bounds. */
export interface QuotaSpec {
  readonly hard?: Readonly<Usage>;
  readonly scopes?: readonly string[];
  readonly scopeSelector?: {
    readonly matchExpressions?: readonly {
      readonly scopeName: string;
      readonly operator: string;
      readonly values?: readonly string[];
    }[];
  };
}

/** Kinds that are counted under their own plural as well as under `count/…`. */
const COUNTED: ReadonlySet<string> = new Set([
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
]);
const COMPUTE = ['cpu', 'memory', 'ephemeral-storage'] as const;

/**
 * Says what one object uses of each amount that a quota may bound.
 *
 * @param resource storage name such as `pods` or `deployments.apps`
 */
export function usageOf(object: KubeObject, resource: string): Usage {
  const usage: Usage = { [`count/${resource}`]: '1' };
  if (resource === 'pods') return { ...usage, ...podUsage(object as Pod) };
  if (COUNTED.has(resource)) usage[resource] = '1';
  if (resource === 'services') Object.assign(usage, serviceUsage(object));
  if (resource === 'persistentvolumeclaims') Object.assign(usage, claimUsage(object));
  return usage;
}

/** A Pod that has ended uses nothing but its place in the list. */
function podUsage(pod: Pod): Usage {
  const phase = pod.status?.phase;
  if (phase === 'Failed' || phase === 'Succeeded') return {};
  const usage: Usage = { pods: '1' };
  for (const [name, amount] of Object.entries(podAmounts(pod, 'requests'))) {
    usage[`requests.${name}`] = amount;
    if (isCompute(name) || name.startsWith('hugepages-')) usage[name] = amount;
  }
  for (const [name, amount] of Object.entries(podAmounts(pod, 'limits'))) {
    if (isCompute(name)) usage[`limits.${name}`] = amount;
  }
  return usage;
}

function isCompute(name: string): boolean {
  return COMPUTE.some((each) => each === name);
}

function serviceUsage(object: KubeObject): Usage {
  const { spec } = object as {
    spec?: { type?: string; ports?: unknown[]; allocateLoadBalancerNodePorts?: boolean };
  };
  const ports = String((spec?.ports ?? []).length);
  switch (spec?.type) {
    case 'NodePort':
      return { 'services.nodeports': ports };
    case 'LoadBalancer':
      return {
        'services.loadbalancers': '1',
        'services.nodeports': spec.allocateLoadBalancerNodePorts === false ? '0' : ports,
      };
    case undefined:
    default:
      return {};
  }
}

function claimUsage(object: KubeObject): Usage {
  const { spec } = object as {
    spec?: { storageClassName?: string; resources?: { requests?: Record<string, string> } };
  };
  const size = spec?.resources?.requests?.['storage'] ?? '0';
  const usage: Usage = { 'requests.storage': size };
  const name = spec?.storageClassName ?? '';
  if (name !== '') {
    usage[`${name}.storageclass.storage.k8s.io/requests.storage`] = size;
    usage[`${name}.storageclass.storage.k8s.io/persistentvolumeclaims`] = '1';
  }
  return usage;
}

/** Tells whether a quota is about an object: all of its scopes must be true of it. */
export function quotaCovers(spec: QuotaSpec, object: KubeObject, resource: string): boolean {
  const scoped = [
    ...(spec.scopes ?? []).map((scopeName) => ({
      scopeName,
      operator: 'Exists',
      values: [] as readonly string[],
    })),
    ...(spec.scopeSelector?.matchExpressions ?? []).map((each) => ({
      values: [] as readonly string[],
      ...each,
    })),
  ];
  if (scoped.length === 0) return true;
  if (resource !== 'pods') return false;
  return scoped.every(({ scopeName, operator, values }) => {
    if (scopeName !== 'PriorityClass') return hasScope(object as Pod, scopeName);
    const name = (object as Pod).spec.priorityClassName ?? '';
    switch (operator) {
      case 'In':
        return values.includes(name);
      case 'NotIn':
        return !values.includes(name);
      case 'DoesNotExist':
        return name === '';
      default:
        return name !== '';
    }
  });
}

function hasScope(pod: Pod, scope: string): boolean {
  const isTerminating = ((pod.spec as { activeDeadlineSeconds?: number }).activeDeadlineSeconds ?? -1) >= 0;
  const isBestEffort = qosClassOf(podSpec(pod)) === 'BestEffort';
  switch (scope) {
    case 'Terminating':
      return isTerminating;
    case 'NotTerminating':
      return !isTerminating;
    case 'BestEffort':
      return isBestEffort;
    case 'NotBestEffort':
      return !isBestEffort;
    case 'CrossNamespacePodAffinity': {
      const { affinity } = pod.spec as { affinity?: object };
      return /"namespace(?:s|Selector)":/.test(JSON.stringify(affinity ?? {}));
    }
    default:
      return false;
  }
}

function podSpec({ spec }: { readonly spec: object }): JsonObject {
  return spec as JsonObject;
}

/** Adds usages, of the amounts that a quota bounds. */
export function addUsage(hard: Readonly<Usage>, ...usages: readonly Readonly<Usage>[]): Usage {
  const total: Usage = {};
  for (const name of Object.keys(hard)) {
    total[name] = usages.reduce((sum, usage) => addQuantities(sum, usage[name] ?? '0'), '0');
  }
  return total;
}

/** Amounts of which a quota demands that every container says something. */
const DEMANDED = ['cpu', 'limits.cpu', 'limits.memory', 'memory', 'requests.cpu', 'requests.memory'];

/** Says which containers leave open what a quota bounds: `limits.cpu for: a,b; …`; `''` when none. */
export function unsaid(pod: Pod, hard: Readonly<Usage>): string {
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  return DEMANDED.filter((name) => Object.hasOwn(hard, name))
    .map((name): [string, string[]] => {
      const [kind, amount] = name.startsWith('limits.')
        ? (['limits', name.slice('limits.'.length)] as const)
        : (['requests', name.replace(/^requests\./, '')] as const);
      const silent = containers.filter(({ resources }) => resources?.[kind]?.[amount] === undefined);
      return [name, silent.map((container) => container.name).toSorted()];
    })
    .filter(([, silent]) => silent.length > 0)
    .map(([name, silent]) => `${name} for: ${silent.join(',')}`)
    .join('; ');
}

/** Says how a request goes beyond a quota: `exceeded quota: q, requested: …`; `undefined` when it does not. */
export function exceeded(
  name: string,
  hard: Readonly<Usage>,
  used: Readonly<Usage>,
  delta: Readonly<Usage>,
): string | undefined {
  const over = Object.keys(hard)
    .filter((key) => compareQuantities(delta[key] ?? '0', '0') > 0)
    .filter(
      (key) => compareQuantities(addQuantities(used[key] ?? '0', delta[key] ?? '0'), hard[key] ?? '0') > 0,
    )
    .toSorted();
  if (over.length === 0) return undefined;
  const print = (amounts: Readonly<Usage>): string =>
    over.map((key) => `${key}=${amounts[key] ?? '0'}`).join(',');
  return `exceeded quota: ${name}, requested: ${print(delta)}, used: ${print(used)}, limited: ${print(hard)}`;
}

/** Takes one usage from another. */
export function subtractUsage(usage: Readonly<Usage>, from: Readonly<Usage>): Usage {
  const result: Usage = { ...usage };
  for (const [name, amount] of Object.entries(from)) {
    result[name] = addQuantities(
      result[name] ?? '0',
      amount.startsWith('-') ? amount.slice(1) : `-${amount}`,
    );
  }
  return result;
}
