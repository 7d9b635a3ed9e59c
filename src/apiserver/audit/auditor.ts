import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isObject } from '../../kube/json/own-property.ts';
import { formatMicroTime } from '../../kube/time.ts';
import type { ApiRequest } from '../api-request.ts';
import type { UserInfo } from '../user-info.ts';
import type { AuditFile } from './audit-file.ts';
import type { AuditDecision, AuditPolicy, AuditStage } from './audit-policy.ts';

/** A body larger than this is left out of the record, which then says that it was. */
const MAX_BODY = 1024 * 1024;

/** Decides what of each request is recorded, and records it. */
export class Auditor {
  readonly #policy: AuditPolicy;
  readonly #file: AuditFile;
  readonly #now: () => number;

  constructor(policy: AuditPolicy, file: AuditFile, now: () => number) {
    this.#policy = policy;
    this.#file = file;
    this.#now = now;
  }

  /** Begins the record of a request that `user` sent; `undefined` when the policy wants none. */
  begin(request: IncomingMessage, parsed: ApiRequest, user: UserInfo): AuditRecord | undefined {
    const decision = this.#policy(parsed, user);
    if (decision.level === 'None') return undefined;
    const record = new AuditRecord(this.#file, this.#now, decision, { request, parsed, user });
    record.emit('RequestReceived');
    return record;
  }

  close(): void {
    this.#file.close();
  }
}

/** The record of one request, which is written once for each stage that the policy wants. */
export class AuditRecord {
  readonly annotations = new Map<string, string>();
  readonly #file: AuditFile;
  readonly #now: () => number;
  readonly #decision: AuditDecision;
  readonly #received: number;
  readonly #id: string;
  readonly #about: {
    readonly request: IncomingMessage;
    readonly parsed: ApiRequest;
    readonly user: UserInfo;
  };
  #impersonated: UserInfo | undefined;
  #requestObject: unknown;
  #responseObject: unknown;
  #responseStatus: object | undefined;
  #code = 0;
  #isDone = false;

  constructor(
    file: AuditFile,
    now: () => number,
    decision: AuditDecision,
    about: { readonly request: IncomingMessage; readonly parsed: ApiRequest; readonly user: UserInfo },
  ) {
    this.#file = file;
    this.#now = now;
    this.#decision = decision;
    this.#about = about;
    this.#received = now();
    const given = about.request.headers['audit-id'];
    this.#id = typeof given === 'string' && /^[\w-]{1,64}$/.test(given) ? given : randomUUID();
  }

  /** The name under which the client may find the record. */
  get id(): string {
    return this.#id;
  }

  impersonated(user: UserInfo): void {
    if (user !== this.#about.user) this.#impersonated = user;
  }

  authorized(allowed: boolean, reason: string): void {
    this.annotations.set('authorization.k8s.io/decision', allowed ? 'allow' : 'forbid');
    this.annotations.set('authorization.k8s.io/reason', reason);
  }

  /** Takes the body of the request, where the policy and its content allow it. */
  body(bytes: Uint8Array): void {
    const { level } = this.#decision;
    if ((level !== 'Request' && level !== 'RequestResponse') || isSecret(this.#about.parsed)) return;
    if (bytes.length === 0) return;
    if (bytes.length > MAX_BODY) {
      this.annotations.set('audit.k8s.io/truncated', 'true');
      return;
    }
    try {
      this.#requestObject = JSON.parse(Buffer.from(bytes).toString()) as unknown;
    } catch (error) {
      // YAML and protobuf are recorded by what came of them.
      if (!(error instanceof SyntaxError)) throw error;
    }
  }

  /** Takes what the request is answered with: an object, or the text of one. */
  answered(code: number, value: object | string): void {
    this.#code = code;
    const isStatus = typeof value === 'object' && 'kind' in value && value.kind === 'Status';
    if (isStatus) this.#responseStatus = statusOf(value);
    if (this.#decision.level !== 'RequestResponse' || isSecret(this.#about.parsed)) return;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    if (text.length > MAX_BODY) this.annotations.set('audit.k8s.io/truncated', 'true');
    else this.#responseObject = JSON.parse(text) as unknown;
  }

  /** Writes the last record, once. */
  complete(code: number): void {
    if (this.#isDone) return;
    this.#isDone = true;
    if (this.#code === 0) this.#code = code;
    this.emit('ResponseComplete');
  }

  emit(stage: AuditStage): void {
    const { level, omitStages, omitManagedFields } = this.#decision;
    if (omitStages.has(stage)) return;
    const { request, parsed, user } = this.#about;
    const isAnswered = stage !== 'RequestReceived';
    const shown = (object: unknown): unknown => (omitManagedFields ? withoutManagedFields(object) : object);
    const event = {
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: isSecret(parsed) && level !== 'Metadata' ? 'Metadata' : level,
      auditID: this.#id,
      stage,
      requestURI: request.url ?? '',
      verb: parsed.verb,
      user: wireUser(user),
      ...(this.#impersonated === undefined ? {} : { impersonatedUser: wireUser(this.#impersonated) }),
      sourceIPs: [(request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')],
      ...(request.headers['user-agent'] === undefined ? {} : { userAgent: request.headers['user-agent'] }),
      ...(parsed.type === 'path' ? {} : { objectRef: this.#objectRef() }),
      ...(isAnswered
        ? {
            responseStatus: {
              metadata: {},
              ...this.#responseStatus,
              code: this.#code === 0 ? 200 : this.#code,
            },
          }
        : {}),
      ...(isAnswered && this.#requestObject !== undefined
        ? { requestObject: shown(this.#requestObject) }
        : {}),
      ...(isAnswered && this.#responseObject !== undefined
        ? { responseObject: shown(this.#responseObject) }
        : {}),
      requestReceivedTimestamp: formatMicroTime(this.#received),
      stageTimestamp: formatMicroTime(this.#now()),
      ...(this.annotations.size === 0 || !isAnswered
        ? {}
        : { annotations: Object.fromEntries(this.annotations) }),
    };
    this.#file.write(JSON.stringify(event));
  }

  #objectRef(): object {
    const { parsed } = this.#about;
    if (parsed.type === 'path') return {};
    const { resource, namespace, name, group, version, subresource } = parsed;
    const body = isObject(this.#requestObject) ? this.#requestObject : {};
    const metadata = isObject(body['metadata']) ? body['metadata'] : {};
    const given = typeof metadata['name'] === 'string' ? metadata['name'] : '';
    const shownName = name === '' ? given : name;
    const { uid, resourceVersion } = metadata;
    return {
      resource,
      ...(namespace === '' ? {} : { namespace }),
      ...(shownName === '' ? {} : { name: shownName }),
      ...(typeof uid === 'string' ? { uid } : {}),
      ...(group === '' ? {} : { apiGroup: group }),
      apiVersion: version,
      ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
      ...(subresource === '' ? {} : { subresource }),
    };
  }
}

/** Requests whose bodies hold secrets: they are never recorded, whatever the policy says. */
function isSecret(parsed: ApiRequest): boolean {
  if (parsed.type === 'path') return parsed.path.startsWith('/openid/');
  const { group, resource, subresource } = parsed;
  if (group === '' && resource === 'secrets') return true;
  if (group === '' && resource === 'serviceaccounts' && subresource === 'token') return true;
  return group === 'authentication.k8s.io' && resource === 'tokenreviews';
}

function statusOf(value: object): object {
  const { status, message, reason, details } = value as Record<string, unknown>;
  return {
    ...(status === undefined ? {} : { status }),
    ...(message === undefined ? {} : { message }),
    ...(reason === undefined ? {} : { reason }),
    ...(details === undefined ? {} : { details }),
  };
}

function wireUser(user: UserInfo): object {
  return {
    username: user.name,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    groups: user.groups,
    ...(user.extra === undefined ? {} : { extra: user.extra }),
  };
}

function withoutManagedFields(value: unknown): unknown {
  if (!isObject(value)) return value;
  const metadata = isObject(value['metadata']) ? value['metadata'] : undefined;
  const { managedFields: _fields, ...rest } = metadata ?? {};
  const { items } = value;
  return {
    ...value,
    ...(metadata === undefined ? {} : { metadata: rest }),
    ...(Array.isArray(items) ? { items: items.map(withoutManagedFields) } : {}),
  };
}
