/*
 * Token scopes: `type:name:action[,action]`. Names may hold colons (a registry's port), so the type ends at the first
 * colon and the actions begin after the last.
 */

/** Returns the scope for pulling from, or pushing to, a repository (rule 17.10). */
export function repositoryScope(repository: string, actions: 'pull' | 'pull,push' | 'delete'): string {
  return `repository:${repository}:${actions}`;
}

/**
 * Joins scopes into the shortest equivalent list: split at spaces, one entry a resource, actions sorted and once each,
 * entries sorted (rule 17.10). The result is the key under which a token is remembered.
 */
export function normalizeScopes(scopes: readonly string[]): string[] {
  const actionsOf = new Map<string, Set<string>>();
  for (const scope of scopes.flatMap((each) => each.split(' '))) {
    if (scope === '') continue;
    const colon = scope.lastIndexOf(':');
    const resource = colon < 0 ? scope : scope.slice(0, colon);
    const actions = actionsOf.get(resource) ?? new Set();
    for (const action of colon < 0 ? [] : scope.slice(colon + 1).split(',')) {
      if (action !== '') actions.add(action);
    }
    actionsOf.set(resource, actions);
  }
  return [...actionsOf]
    .map(([resource, actions]) =>
      actions.size === 0 ? resource : `${resource}:${[...actions].sort().join(',')}`,
    )
    .sort();
}
