import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { messageOf } from '../base/coded-error.ts';
import { SelectorError } from '../kube/selector/selector-error.ts';
import { parseFieldSelector } from '../kube/selector/field-selector.ts';
import {
  forbiddenPath,
  internalError,
  methodNotAllowed,
  onlyAcceptable,
  StatusError,
  unknownResource,
  verbNotSupported,
} from '../kube/status.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import type { AuditRecord, Auditor } from './audit/auditor.ts';
import type { ApiCall } from './api-call.ts';
import { parseApiRequest, type ApiRequest, type ResourceRequest } from './api-request.ts';
import { authenticate, credentialsOf, type TokenAuthenticator } from './authentication.ts';
import { refusal, type Attempt } from './authorizer.ts';
import { HttpResponder } from './http-responder.ts';
import { actingUser } from './impersonation.ts';
import { negotiate, STREAM_MEDIA_TYPES, unacceptable, type Representation } from './negotiation.ts';
import { answerPath } from './path-handlers.ts';
import type { KubeletProxy } from './pod-log.ts';
import { isSession, type PodSessions, type Upgrade } from './pod-sessions.ts';
import { isProxied, type BackendProxy } from './proxy/backend-proxy.ts';
import {
  checkForm,
  checkTableOptions,
  listText,
  representList,
  representObject,
  type RepresentOptions,
} from './representation.ts';
import { readBody } from './request-body.ts';
import { routeCall } from './resource-router.ts';
import type { RouterContext } from './router-context.ts';
import { streamLog } from './log-stream.ts';
import { admitSession } from './session-admission.ts';
import type { UserInfo } from './user-info.ts';
import { WatchStream } from './watch-stream.ts';
import { watchObjects } from './watch-objects.ts';

/** Where the server tells of what it could not answer; pino's loggers fit. */
export interface ApiLogger {
  error(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

export interface HandlerContext extends RouterContext {
  readonly authenticators: readonly TokenAuthenticator[];
  /** Says who asks without any credentials, where that can be told; absent: nobody. */
  readonly withoutCredentials?: (request: IncomingMessage) => UserInfo | undefined;
  readonly kubelets: KubeletProxy;
  readonly sessions: PodSessions;
  readonly backends: BackendProxy;
  readonly logger: ApiLogger | undefined;
  /** Records who did what; absent: nothing is recorded. */
  readonly auditor?: Auditor;
  readonly failing: () => readonly string[];
}

const CLIENT_GONE = new DOMException('the client went away', 'AbortError');
const NOT_FOUND_TEXT = { code: 404, body: '404 page not found\n' } as const;

/**
 * Answers one HTTP request: who, whether, what. Never throws; a failure of our own is logged and answered with 500. With `upgrade` the
 * client wants to go on in another protocol, which only sessions with Pods do.
 */
export async function handleRequest(
  context: HandlerContext,
  request: IncomingMessage,
  response: ServerResponse,
  upgrade?: Upgrade,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => {
    // Making an abort's reason anew costs a stack trace, and most answers were whole by now.
    if (!response.writableFinished) gone.abort(CLIENT_GONE);
  });
  const warnings: string[] = [];
  const responder = new HttpResponder(request, response, warnings);
  const representation = negotiate(request.headers.accept);
  try {
    const parsed = parseApiRequest(request.method ?? 'GET', request.url ?? '/');
    if (parsed === undefined) {
      await responder.path({ code: 400, body: '400 Bad Request: malformed request target\n' });
      return;
    }
    const credentials = credentialsOf(request.socket as TLSSocket, request.headers.authorization);
    const isBare = credentials.certificate === undefined && credentials.bearerToken === undefined;
    const sender =
      (isBare ? context.withoutCredentials?.(request) : undefined) ??
      (await authenticate(credentials, context.authenticators));
    const audit = context.auditor?.begin(request, parsed, sender);
    if (audit !== undefined) responder.recordIn(audit);
    const user = actingUser(sender, request.headers, context.authorizer);
    audit?.impersonated(user);
    authorize(context, user, parsed, responder, audit);
    if (parsed.type === 'path') {
      const answer = await answerPath(parsed, {
        accept: request.headers.accept,
        serverAddress: request.headers.host ?? '',
        tokens: context.tokens,
        resources: context.served.all,
        failing: context.failing,
      });
      await responder.path(answer ?? NOT_FOUND_TEXT);
      return;
    }
    const resource = context.served.find(parsed.group, parsed.version, parsed.resource);
    if (resource === undefined) {
      const isServed = context.served.all.some(
        (info) => info.group === parsed.group && info.version === parsed.version,
      );
      if (!isServed) await responder.path(NOT_FOUND_TEXT);
      else throw unknownResource();
      return;
    }
    const call: ApiCall = {
      request: parsed,
      resource,
      user,
      userAgent: request.headers['user-agent'],
      signal: gone.signal,
      body: async () => {
        const body = await readBody(request);
        audit?.body(body.bytes);
        return body;
      },
      warnings,
      ...(audit === undefined ? {} : { auditAnnotations: audit.annotations }),
    };
    if (resource.deprecation !== undefined) {
      warnings.push(resource.deprecation);
      audit?.annotations.set('k8s.io/deprecated', 'true');
    }
    const isLog = parsed.subresource === 'log' && resource.resource === 'pods';
    if (isLog && parsed.verb === 'get') {
      await streamLog(context, call, responder, response);
      return;
    }
    if (isSession(call)) {
      // Reading is how a WebSocket begins, and not what it is for: who may not open sessions may not do it that way either.
      authorize(context, user, { ...parsed, verb: 'create' }, responder);
      await admitSession(context, call);
      await context.sessions.serve(context, call, request, upgrade);
      return;
    }
    if (isProxied(call)) {
      await admitSession(context, call);
      await context.backends.serve(context, call, { request, response, responder });
      return;
    }
    if (representation === undefined) throw unacceptable(request.headers.accept, call);
    await answerCall(context, call, representation, responder, response);
  } catch (error) {
    await answerFailure(context, error, { request, response, responder, representation });
  }
}

function authorize(
  context: HandlerContext,
  user: UserInfo,
  request: ApiRequest,
  responder: HttpResponder,
  audit?: AuditRecord,
): void {
  const attempt = attemptOf(context, user, request);
  const verdict = context.authorizer.authorize(attempt);
  audit?.authorized(verdict.allowed, verdict.reason);
  if (verdict.allowed) return;
  responder.neverSniff();
  if (attempt.path !== undefined) throw forbiddenPath(user.name, attempt.verb, attempt.path);
  throw refusal(attempt, verdict.reason);
}

function attemptOf(context: HandlerContext, user: UserInfo, request: ApiRequest): Attempt {
  if (request.type === 'path') return { user, verb: request.verb, path: request.path };
  const { verb, group, resource, subresource, namespace, name } = request;
  const fields = pinnedFields(context, request);
  return {
    user,
    verb,
    group,
    resource,
    subresource,
    namespace,
    // A list or watch of one name is a read of that object, which is how nodes watch single Secrets.
    name: name === '' ? (fields?.get('metadata.name') ?? '') : name,
    ...(fields === undefined ? {} : { fields }),
  };
}

function pinnedFields(
  context: HandlerContext,
  request: ResourceRequest,
): ReadonlyMap<string, string> | undefined {
  const text = request.query.get('fieldSelector') ?? '';
  if (text === '' || (request.verb !== 'list' && request.verb !== 'watch')) return undefined;
  const resource = context.served.find(request.group, request.version, request.resource);
  if (resource === undefined) return undefined;
  try {
    const selector = parseFieldSelector(text, resource);
    return new Map(
      selector.requirements
        .filter((requirement) => requirement.operator === '=')
        .map((requirement) => [requirement.field, requirement.value]),
    );
  } catch (error) {
    // Who may not list learns that first; the bad selector is answered when it is used.
    if (error instanceof SelectorError) return undefined;
    throw error;
  }
}

async function answerCall(
  context: HandlerContext,
  call: ApiCall,
  representation: Representation,
  responder: HttpResponder,
  response: ServerResponse,
): Promise<void> {
  const options = (resource: ResourceInfo): RepresentOptions => ({
    resource,
    representation,
    now: context.clock.now(),
    includeObject: call.request.query.get('includeObject'),
  });
  if (call.request.verb === 'watch' && call.request.subresource === '') {
    // The older paths of watches mean one by whatever method.
    if (call.request.method !== 'GET' && call.request.method !== 'HEAD') throw methodNotAllowed();
    if (!call.resource.verbs.includes('watch')) {
      throw call.resource.verbs.includes('list')
        ? verbNotSupported('watch', call.resource)
        : methodNotAllowed();
    }
    checkTableOptions(options(call.resource));
    const start = watchObjects(context, narrowed(call));
    if (representation.encoding === 'yaml') throw onlyAcceptable(STREAM_MEDIA_TYPES);
    responder.head('application/json');
    start(new WatchStream(response, () => options(call.resource)));
    return;
  }
  const routed = await routeCall(context, call);
  // What was written stays written, also when its answer cannot be given as it is wanted.
  checkTableOptions(options(call.resource));
  // What the answer tells of must survive a crash, and so must what a read has seen of other writes.
  await context.store.settled();
  if (routed.type === 'list') {
    const isPlain = representation.as === undefined && representation.encoding === 'json';
    const texts = isPlain ? routed.list.texts : undefined;
    if (texts !== undefined) {
      await responder.json(listText(routed.list, call.resource, texts));
      return;
    }
    checkForm(options(call.resource), true);
    await responder.object(200, representList(routed.list, options(call.resource)), representation);
    return;
  }
  const { code, value } = routed.answer;
  // Statuses and token requests have no other form.
  const isObject =
    'metadata' in value && 'kind' in value && (value.kind === call.resource.kind || value.kind === 'Scale');
  if (isObject) checkForm(options(call.resource), false);
  const body = isObject
    ? representObject(value as Parameters<typeof representObject>[0], options(call.resource))
    : value;
  await responder.object(code, body, representation);
}

/** A watch of one object by path is a watch of its collection with the name pinned. */
function narrowed(call: ApiCall): ApiCall {
  const { name, query } = call.request;
  if (name === '') return call;
  const pinned = new URLSearchParams(query);
  const given = pinned.get('fieldSelector') ?? '';
  pinned.set('fieldSelector', `${given === '' ? '' : `${given},`}metadata.name=${name}`);
  return { ...call, request: { ...call.request, name: '', query: pinned } };
}

async function answerFailure(
  context: HandlerContext,
  error: unknown,
  exchange: {
    request: IncomingMessage;
    response: ServerResponse;
    responder: HttpResponder;
    representation: Representation | undefined;
  },
): Promise<void> {
  const { request, response, responder, representation = { encoding: 'json' } } = exchange;
  if (response.destroyed) return;
  const status = error instanceof StatusError ? error : internalError(messageOf(error), { cause: error });
  if (!(error instanceof StatusError)) {
    context.logger?.error(
      { err: error, method: request.method, path: pathOnly(request) },
      'Cannot answer request',
    );
  }
  if (response.headersSent) {
    // Half an answer cannot be taken back: breaking the connection tells the client that it is not whole.
    response.destroy();
    return;
  }
  await responder.failure(status, representation);
}

function pathOnly(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? '';
}
