import type { IncomingHttpHeaders } from 'node:http';
import { badRequest } from '../kube/status.ts';
import { refusal, type Attempt, type Authorizer } from './authorizer.ts';
import {
  AUTHENTICATED_GROUP,
  SERVICE_ACCOUNT_PREFIX,
  serviceAccountUser,
  type UserInfo,
} from './user-info.ts';

/**
 * Returns the user that a request acts as: with `Impersonate-User` another one, when the sender may.
 *
 * @throws StatusError 403 when the sender may not impersonate that user or group
 */
export function actingUser(sender: UserInfo, headers: IncomingHttpHeaders, authorizer: Authorizer): UserInfo {
  const name = one(headers['impersonate-user']);
  const groups = many(headers['impersonate-group']);
  if (name === undefined) {
    if (groups.length > 0 || headers['impersonate-uid'] !== undefined) {
      throw badRequest('requested impersonation without impersonating a user');
    }
    return sender;
  }
  const account = accountOf(name);
  const attempts: Attempt[] = [
    account === undefined
      ? attempt(sender, 'users', '', name)
      : attempt(sender, 'serviceaccounts', account.namespace, account.name),
    ...groups.map((group) => attempt(sender, 'groups', '', group)),
  ];
  for (const wanted of attempts) {
    const verdict = authorizer.authorize(wanted);
    if (!verdict.allowed) throw refusal(wanted, verdict.reason);
  }
  if (account !== undefined && groups.length === 0)
    return serviceAccountUser(account.namespace, account.name);
  const isAnonymous = name === 'system:anonymous';
  const implied = isAnonymous ? 'system:unauthenticated' : AUTHENTICATED_GROUP;
  return { name, groups: [...new Set([...groups, implied])] };
}

function attempt(user: UserInfo, resource: string, namespace: string, name: string): Attempt {
  return { user, verb: 'impersonate', group: '', resource, subresource: '', namespace, name };
}

function accountOf(user: string): { namespace: string; name: string } | undefined {
  if (!user.startsWith(SERVICE_ACCOUNT_PREFIX)) return undefined;
  const [namespace, name, ...rest] = user.slice(SERVICE_ACCOUNT_PREFIX.length).split(':');
  return namespace && name && rest.length === 0 ? { namespace, name } : undefined;
}

function one(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}

/** Node joins repeated headers of this name with a comma; group names hold none. */
function many(value: string | string[] | undefined): string[] {
  if (value === undefined) return [];
  return (typeof value === 'string' ? value.split(',') : value)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
