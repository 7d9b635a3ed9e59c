import type { KubeObject } from '../object.ts';
import type { PodSpec } from '../pod.ts';

export interface SelectorTerm {
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
  matchFields?: { key: string; operator: string; values?: string[] }[];
}

interface NodeAffinity {
  requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: SelectorTerm[] };
  preferredDuringSchedulingIgnoredDuringExecution?: { weight: number; preference: SelectorTerm }[];
}

/** Tells whether `nodeSelector` and the required node affinity let the Pod onto the node. */
export function matchesNodeSelection(spec: PodSpec, node: KubeObject): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(spec.nodeSelector ?? {})) {
    if (!Object.hasOwn(labels, key) || labels[key] !== value) return false;
  }
  const required = nodeAffinity(spec)?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required === undefined) return true;
  return (required.nodeSelectorTerms ?? []).some((term) => matchesTerm(term, node));
}

/** Tells whether a node has what a volume, or anything else with such terms, asks for. */
export function matchesNodeTerms(terms: readonly SelectorTerm[], node: KubeObject): boolean {
  return terms.some((term) => matchesTerm(term, node));
}

/** Returns the only nodes that a Pod may ever take, where each of its terms names some; `undefined`: any. */
export function namedNodes(spec: PodSpec): Set<string> | undefined {
  const terms = nodeAffinity(spec)?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  let all: Set<string> | undefined;
  for (const { matchFields = [] } of terms) {
    const named = matchFields
      .filter(({ key, operator }) => key === 'metadata.name' && operator === 'In')
      .map(({ values = [] }) => new Set(values));
    const [first, ...others] = named;
    if (first === undefined) return undefined;
    const common = others.reduce((left, next) => left.intersection(next), first);
    all = (all ?? new Set()).union(common);
  }
  return all;
}

/** Adds up the weights of the preferences that the node meets. */
export function preference(spec: PodSpec, node: KubeObject): number {
  let score = 0;
  for (const { weight, preference: term } of nodeAffinity(spec)
    ?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
    if (matchesTerm(term, node)) score += weight;
  }
  return score;
}

function nodeAffinity(spec: PodSpec): NodeAffinity | undefined {
  return spec.affinity?.['nodeAffinity'] as NodeAffinity | undefined;
}

function matchesTerm(term: SelectorTerm, node: KubeObject): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  // A term without requirements matches no node: the API says so, against intuition.
  if (matchExpressions.length + matchFields.length === 0) return false;
  const labels = node.metadata.labels ?? {};
  const fields: Record<string, string> = { 'metadata.name': node.metadata.name };
  return (
    matchExpressions.every((requirement) => meets(labels, requirement)) &&
    matchFields.every((requirement) => meets(fields, requirement))
  );
}

function meets(
  labels: Readonly<Record<string, string>>,
  requirement: { key: string; operator: string; values?: string[] },
): boolean {
  const { key, operator, values = [] } = requirement;
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return isInteger(value) && isInteger(values[0]) && BigInt(value) > BigInt(values[0]);
    case 'Lt':
      return isInteger(value) && isInteger(values[0]) && BigInt(value) < BigInt(values[0]);
    default:
      return false;
  }
}

function isInteger(text: string | undefined): text is string {
  return text !== undefined && /^-?\d+$/.test(text);
}
