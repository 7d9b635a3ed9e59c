import { celAuthorizer, celResourceCheck, type Decide } from '../../kube/cel/cel-authorizer.ts';
import { toCel } from '../../kube/cel/cel-values.ts';
import type { KubeObject } from '../../kube/object.ts';
import { parseApiVersion } from '../../kube/resources.ts';
import type { AdmissionRequest } from '../admission-chain.ts';
import type { Authorizer } from '../authorizer.ts';
import { serviceAccountUser } from '../user-info.ts';
import type { MatchedRequest } from './match-request.ts';

/** What match conditions of webhooks may name. */
export const MATCH_VARIABLES: readonly string[] = ['object', 'oldObject', 'request', 'authorizer'];

/** Says who sent a request, as reviews and expressions see it. */
export function userInfoOf({ user }: AdmissionRequest): Record<string, unknown> {
  return {
    username: user.name,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    groups: user.groups,
    ...(user.extra === undefined ? {} : { extra: user.extra }),
  };
}

/** Returns group, version and kind of what a request carries. */
export function kindOf(object: KubeObject | undefined, matched: MatchedRequest): Record<string, string> {
  const { group, version } = object === undefined ? matched.resource : parseApiVersion(object.apiVersion);
  return { group, version, kind: object?.kind ?? matched.resource.kind };
}

/** Describes a request as `AdmissionReview.request` does, without the objects. */
export function describeRequest(request: AdmissionRequest, matched: MatchedRequest): Record<string, unknown> {
  const { resource, subresource } = request;
  const gvr = (info: typeof resource): object => ({
    group: info.group,
    version: info.version,
    resource: info.resource,
  });
  const part = subresource === '' ? {} : { subResource: subresource };
  const requestPart = subresource === '' ? {} : { requestSubResource: subresource };
  return {
    kind: kindOf(matched.object ?? matched.oldObject, matched),
    resource: gvr(matched.resource),
    ...part,
    requestKind: kindOf(request.object ?? request.oldObject, { resource }),
    requestResource: gvr(resource),
    ...requestPart,
    ...(request.name === '' ? {} : { name: request.name }),
    ...(request.namespace === '' ? {} : { namespace: request.namespace }),
    operation: request.operation,
    userInfo: userInfoOf(request),
  };
}

/** Makes the values of `object`, `oldObject`, `request` and `authorizer` for expressions about a request. */
export function variablesOf(
  request: AdmissionRequest,
  matched: MatchedRequest,
  authorizer: Authorizer,
): Record<string, unknown> {
  const decide: Decide = ({ serviceAccount, path, verb, ...attempt }) => {
    const user =
      serviceAccount === undefined
        ? request.user
        : serviceAccountUser(serviceAccount.namespace, serviceAccount.name);
    return authorizer.authorize(path === undefined ? { user, verb, ...attempt } : { user, verb, path });
  };
  const { resource, namespace, name, subresource } = request;
  const own = { verb: '', group: resource.group, resource: resource.resource, subresource, namespace, name };
  return {
    object: toCel(matched.object ?? null),
    oldObject: toCel(matched.oldObject ?? null),
    request: toCel({
      name: '',
      namespace: '',
      subResource: '',
      ...describeRequest(request, matched),
      dryRun: request.dryRun,
      options: request.options ?? null,
    }),
    authorizer: celAuthorizer(decide, celResourceCheck(decide, own)),
  };
}
