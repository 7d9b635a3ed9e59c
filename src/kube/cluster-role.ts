import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from './object.ts';
import { labelSelectorOf, type LabelSelectorObject } from './selector/label-selector.ts';

/** What a role grants. */
export interface PolicyRule {
  verbs?: string[];
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  nonResourceURLs?: string[];
}

export interface ClusterRole extends KubeObject {
  rules?: PolicyRule[] | null;
  /** Present: the rules are those of all roles that one of these selects. */
  aggregationRule?: { clusterRoleSelectors?: LabelSelectorObject[] };
}

/**
 * Returns the rules that an aggregated role should have: those of all other roles that its selectors match, selector by
 * selector and in the order of names, each once.
 */
export function collectRules(role: ClusterRole, all: readonly ClusterRole[]): PolicyRule[] {
  const byName = [...all].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const rules: PolicyRule[] = [];
  for (const selected of role.aggregationRule?.clusterRoleSelectors ?? []) {
    const selector = labelSelectorOf(selected);
    for (const part of byName) {
      if (part.metadata.name === role.metadata.name || !selector.matches(part.metadata.labels)) continue;
      for (const rule of part.rules ?? []) {
        if (!rules.some((known) => isDeepStrictEqual(known, rule))) rules.push(rule);
      }
    }
  }
  return rules;
}
