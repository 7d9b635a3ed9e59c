import type { ResourceInfo } from '../kube/resources.ts';
import type { ApiCall, ApiContext } from './api-call.ts';
import { refusal, type Attempt, type Authorizer } from './authorizer.ts';

/** Kinds whose objects a `PUT` makes where there are none. */
const MADE_BY_UPDATE: ReadonlySet<string> = new Set([
  'services',
  'endpoints',
  'events',
  'events.events.k8s.io',
  'limitranges',
  'leases.coordination.k8s.io',
  'roles.rbac.authorization.k8s.io',
  'rolebindings.rbac.authorization.k8s.io',
  'clusterroles.rbac.authorization.k8s.io',
  'clusterrolebindings.rbac.authorization.k8s.io',
]);

/** What writes need that may make an object although they are no `create`. */
export type MakingContext = ApiContext & { readonly authorizer: Authorizer };

/** Tells whether an update of what is not there makes it. */
export function isMadeByUpdate({ request, resource }: ApiCall): boolean {
  return request.subresource === '' && MADE_BY_UPDATE.has(formatResource(resource));
}

/**
 * Sees to it that whoever makes an object by changing it may make one.
 *
 * @throws StatusError 403
 */
export function checkMayCreate({ authorizer }: MakingContext, { user, request }: ApiCall): void {
  const { group, resource, subresource, namespace, name } = request;
  const attempt: Attempt = { user, verb: 'create', group, resource, subresource, namespace, name };
  const verdict = authorizer.authorize(attempt);
  if (!verdict.allowed) throw refusal(attempt, verdict.reason);
}

function formatResource({ group, resource }: ResourceInfo): string {
  return group === '' ? resource : `${resource}.${group}`;
}
