import { isDeepStrictEqual } from 'node:util';
import { collectRules, type ClusterRole } from '../kube/cluster-role.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { CLUSTER_ROLES } from './resource-types.ts';

const MANAGER = 'clusterrole-aggregation-controller';

/** Keeps in each aggregated ClusterRole the rules of the roles that it selects. */
export function startClusterRoleAggregation(context: ControllerContext): void {
  const roles = context.informer<ClusterRole>(CLUSTER_ROLES);
  const queue = context.queue('aggregate cluster role', async (key, signal) => {
    const { name } = splitKey(key);
    const role = roles.get(undefined, name);
    if (role?.aggregationRule === undefined) return;
    const rules = collectRules(role, roles.values());
    if (isDeepStrictEqual(rules, role.rules ?? [])) return;
    const applied = { apiVersion: role.apiVersion, kind: role.kind, metadata: { name }, rules };
    await unless(
      ['NotFound'],
      context.client.patch(CLUSTER_ROLES, { name }, applied, 'apply', signal, {
        fieldManager: MANAGER,
        force: true,
      }),
    );
  });
  // Any role may be part of any other.
  roles.onChange(() => {
    for (const role of roles.values()) if (role.aggregationRule !== undefined) queue.add(queueKey(role));
  });
}
