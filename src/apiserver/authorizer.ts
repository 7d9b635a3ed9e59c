import { goQuote } from '../base/go-quote.ts';
import { forbidden, forbiddenPath, type StatusError } from '../kube/status.ts';
import { MASTERS_GROUP, type UserInfo } from './user-info.ts';

/** One thing a user wants to do, as authorizers see it. */
export type Attempt =
  | {
      readonly user: UserInfo;
      readonly verb: string;
      readonly group: string;
      readonly resource: string;
      readonly subresource: string;
      /** `''`: cluster scope or all namespaces. */
      readonly namespace: string;
      /** `''`: no particular object. A list or watch of one `metadata.name` names it. */
      readonly name: string;
      /** Fields that a list or watch pins to one value. */
      readonly fields?: ReadonlyMap<string, string>;
      readonly path?: undefined;
    }
  | { readonly user: UserInfo; readonly verb: string; readonly path: string };

/** Either somebody allows it, or the reasons why nobody did. */
export type Verdict =
  | { readonly allowed: true; readonly reason: string }
  | { readonly allowed: false; readonly reason: string };

export interface Authorizer {
  authorize(attempt: Attempt): Verdict;
}

/** Lets `system:masters` do everything, then asks each authorizer; reasons of those that refuse are joined. */
export class AuthorizerChain implements Authorizer {
  readonly #members: readonly Authorizer[];

  constructor(members: readonly Authorizer[]) {
    this.#members = members;
  }

  authorize(attempt: Attempt): Verdict {
    if (attempt.user.groups.includes(MASTERS_GROUP)) return { allowed: true, reason: '' };
    const reasons: string[] = [];
    for (const member of this.#members) {
      const verdict = member.authorize(attempt);
      if (verdict.allowed) return verdict;
      if (verdict.reason !== '') reasons.push(verdict.reason);
    }
    return { allowed: false, reason: reasons.join(', ') };
  }
}

/** Words a refusal as the API does. */
export function refusal(attempt: Attempt, reason: string): StatusError {
  const { user, verb } = attempt;
  if (attempt.path !== undefined) return forbiddenPath(user.name, verb, attempt.path);
  const { group, resource, subresource, namespace, name } = attempt;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${goQuote(namespace)}`;
  const why = `User ${goQuote(user.name)} cannot ${verb} resource ${goQuote(full)} in API group ${goQuote(group)} ${where}`;
  return forbidden({ group, resource }, name, reason === '' ? why : `${why}: ${reason}`);
}
