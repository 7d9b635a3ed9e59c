import type { KubeObject } from '../kube/object.ts';
import type { JsonObject } from '../kube/json/json-object.ts';
import { badRequest, invalid, methodNotAllowed } from '../kube/status.ts';
import { formatTime } from '../kube/time.ts';
import { validateAccessReview } from '../kube/validate/reviews.ts';
import { decodeBody } from './decode-body.ts';
import { fitToPath, type Answer, type ApiCall } from './api-call.ts';
import type { Attempt } from './authorizer.ts';
import { ownFields } from './own-fields.ts';
import { writeOptions, type WriteOptions } from './request-options.ts';
import type { RouterContext } from './router-context.ts';
import { DEFAULT_AUDIENCE } from './token-request.ts';
import { MASTERS_GROUP, type UserInfo } from './user-info.ts';

interface ReviewSpec {
  resourceAttributes?: {
    namespace?: string;
    verb?: string;
    group?: string;
    resource?: string;
    subresource?: string;
    name?: string;
  };
  nonResourceAttributes?: { path?: string; verb?: string };
  user?: string;
  uid?: string;
  groups?: string[];
  namespace?: string;
  token?: string;
  audiences?: string[];
  extra?: Record<string, string[]>;
}

/** Answers the kinds that only ask a question and are never stored; `undefined` for all others. */
export async function answerReview(context: RouterContext, call: ApiCall): Promise<Answer | undefined> {
  const { resource } = call;
  if (resource.group !== 'authentication.k8s.io' && resource.group !== 'authorization.k8s.io')
    return undefined;
  if (call.request.verb !== 'create' || call.request.name !== '') throw methodNotAllowed();
  const options = writeOptions(call.request.query, 'CreateOptions');
  const body = await call.body();
  const { object, warnings } = decodeBody<KubeObject & { spec?: ReviewSpec }>(
    body,
    resource,
    options.fieldValidation,
  );
  call.warnings.push(...warnings);
  if (resource.namespaced) fitToPath(call, object);
  if (resource.kind.endsWith('AccessReview')) {
    const errors = validateAccessReview(object as unknown as JsonObject);
    if (errors.length > 0) throw invalid(resource, '', errors);
  }
  const status = await statusOf(context, call, object.spec ?? {});
  return { code: 201, value: answered(context, call, options, object, status) };
}

/** Two kinds are answered with an object of their own: what was sent along is gone. */
function answered(
  context: RouterContext,
  call: ApiCall,
  options: WriteOptions,
  object: KubeObject,
  status: object,
): object {
  const { kind, apiVersion } = call.resource;
  switch (kind) {
    case 'SelfSubjectReview':
      return {
        kind,
        apiVersion,
        metadata: { creationTimestamp: formatTime(context.clock.now()) },
        status,
      };
    case 'SelfSubjectRulesReview':
      return { kind, apiVersion, metadata: {}, spec: {}, status };
    default:
      ownFields(context, call, options, object);
      return { ...object, status };
  }
}

async function statusOf(context: RouterContext, call: ApiCall, spec: ReviewSpec): Promise<object> {
  const { user } = call;
  switch (call.resource.kind) {
    case 'SelfSubjectReview':
      return { userInfo: wireUser(user) };
    case 'TokenReview': {
      const token = spec.token ?? '';
      if (token === '') throw badRequest('token is required for TokenReview in authentication');
      const audiences = spec.audiences ?? [DEFAULT_AUDIENCE];
      const found =
        (await context.tokens.authenticate(token, audiences)) ?? (await fixedUser(context, token, audiences));
      if (found === undefined) return { user: {}, error: 'token is not valid' };
      return { authenticated: true, user: wireUser(found), audiences };
    }
    case 'SelfSubjectAccessReview':
      return accessStatus(context, user, spec);
    case 'SubjectAccessReview':
    case 'LocalSubjectAccessReview': {
      const subject: UserInfo = {
        name: spec.user ?? '',
        groups: spec.groups ?? [],
        ...(spec.uid === undefined ? {} : { uid: spec.uid }),
        ...(spec.extra === undefined ? {} : { extra: spec.extra }),
      };
      return accessStatus(context, subject, spec);
    }
    case 'SelfSubjectRulesReview':
      if ((spec.namespace ?? '') === '') throw badRequest('no namespace on request');
      return rulesStatus(context, user, spec.namespace ?? '');
    default:
      throw methodNotAllowed();
  }
}

/** Tokens that name no audience are for this server. */
async function fixedUser(
  context: RouterContext,
  token: string,
  audiences: readonly string[],
): Promise<UserInfo | undefined> {
  if (!audiences.includes(DEFAULT_AUDIENCE)) return undefined;
  for (const authenticator of context.authenticators ?? []) {
    const user = await authenticator(token);
    if (user !== undefined) return user;
  }
  return undefined;
}

function wireUser(user: UserInfo): object {
  return {
    username: user.name,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    groups: user.groups,
    ...(user.extra === undefined ? {} : { extra: user.extra }),
  };
}

function accessStatus(context: RouterContext, user: UserInfo, spec: ReviewSpec): object {
  const wanted = spec.resourceAttributes;
  const attempt: Attempt =
    wanted === undefined
      ? { user, verb: spec.nonResourceAttributes?.verb ?? '', path: spec.nonResourceAttributes?.path ?? '' }
      : {
          user,
          verb: wanted.verb ?? '',
          group: wanted.group ?? '',
          resource: wanted.resource ?? '',
          subresource: wanted.subresource ?? '',
          namespace: wanted.namespace ?? '',
          name: wanted.name ?? '',
        };
  const { allowed, reason } = context.authorizer.authorize(attempt);
  return { allowed, ...(reason === '' ? {} : { reason }) };
}

function rulesStatus(context: RouterContext, user: UserInfo, namespace: string): object {
  const resourceRules: object[] = [];
  const nonResourceRules: object[] = [];
  if (user.groups.includes(MASTERS_GROUP)) {
    resourceRules.push({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] });
    nonResourceRules.push({ verbs: ['*'], nonResourceURLs: ['*'] });
  }
  for (const rule of context.rbac.rulesOf(user, namespace)) {
    const { verbs = [], apiGroups, resources, resourceNames, nonResourceURLs } = rule;
    if (resources !== undefined) {
      resourceRules.push({
        verbs,
        apiGroups: apiGroups ?? [],
        resources,
        ...(resourceNames === undefined ? {} : { resourceNames }),
      });
    }
    if (nonResourceURLs !== undefined) nonResourceRules.push({ verbs, nonResourceURLs });
  }
  return { resourceRules, nonResourceRules, incomplete: false };
}
