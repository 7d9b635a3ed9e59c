import { CodedError } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import type { FieldError } from './field-error.ts';

/** Reasons of a failed request, as the API names them. `''` is a failure without a reason. */
export type StatusReason =
  | ''
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Invalid'
  | 'ServerTimeout'
  | 'Timeout'
  | 'TooManyRequests'
  | 'BadRequest'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'InternalError'
  | 'Expired'
  | 'ServiceUnavailable'
  | 'Unknown';

export interface StatusCause {
  reason?: string;
  message?: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

/** The API's answer when there is no object to answer with. Key order is that of the wire. */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  status: 'Success' | 'Failure';
  message?: string;
  reason?: StatusReason;
  details?: StatusDetails;
  code: number;
}

/** Names a resource inside error texts: `pods`, `deployments.apps`. Every `ResourceInfo` is one. */
export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

/** Names a kind inside error texts. Every `ResourceInfo` is one. */
export interface GroupKind {
  readonly group: string;
  readonly kind: string;
}

/** A request that failed: `status` is the body to answer with, `status.code` the HTTP status. */
export class StatusError extends CodedError<StatusReason> {
  readonly status: Status;

  constructor(status: Status, options: { cause?: unknown } = {}) {
    super(status.reason ?? '', status.message ?? '', options);
    this.status = status;
  }
}

/** Answers 404 for an object that is not there. */
export function notFound(resource: GroupResource, name: string): StatusError {
  return failure(
    404,
    'NotFound',
    `${qualified(resource.resource, resource.group)} ${goQuote(name)} not found`,
    {
      ...resourceDetails(resource, name),
    },
  );
}

/** Answers 409 for a create under a name that is taken. */
export function alreadyExists(resource: GroupResource, name: string): StatusError {
  return failure(
    409,
    'AlreadyExists',
    `${qualified(resource.resource, resource.group)} ${goQuote(name)} already exists`,
    resourceDetails(resource, name),
  );
}

/** Answers 409 for a create whose generated names were all taken; another try may find one. */
export function noNameFound(resource: GroupResource, name: string): StatusError {
  return failure(
    409,
    'AlreadyExists',
    `${qualified(resource.resource, resource.group)} ${goQuote(name)} already exists, the server was not able to generate ` +
      'a unique name for the object',
    { ...resourceDetails(resource, name), retryAfterSeconds: 1 },
  );
}

/** Answers 409 for a write that lost a race; `why` defaults to the text about a modified object. */
export function conflict(
  resource: GroupResource,
  name: string,
  why = 'the object has been modified; please apply your changes to the latest version and try again',
): StatusError {
  return failure(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource.resource, resource.group)} ${goQuote(name)}: ${why}`,
    resourceDetails(resource, name),
  );
}

/** Answers 409 for an apply that would take fields from other managers; one cause per field. */
export function applyConflict(message: string, causes: StatusCause[]): StatusError {
  return failure(409, 'Conflict', message, { causes });
}

/** Answers 422 with one cause per finding. Equal findings are said once in the message and kept in the causes. */
export function invalid(kind: GroupKind, name: string, errors: readonly FieldError[]): StatusError {
  const texts = [...new Set(errors.map((error) => `${error.field}: ${error.message}`))];
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  return failure(422, 'Invalid', `${qualified(kind.kind, kind.group)} ${goQuote(name)} is invalid: ${list}`, {
    ...(name === '' ? {} : { name }),
    ...(kind.group === '' ? {} : { group: kind.group }),
    ...(kind.kind === '' ? {} : { kind: kind.kind }),
    causes: errors.map(({ type, message, field }) => ({ reason: type, message, field })),
  });
}

/** Answers 422 without a finding: a JSON patch that does not fit the object. */
export function unprocessable(): StatusError {
  return failure(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
}

/** Answers 403: `secrets "s1" is forbidden: <why>`; without a name `secrets is forbidden: <why>`. */
export function forbidden(resource: GroupResource, name: string, why: string): StatusError {
  const subject = qualified(resource.resource, resource.group);
  const named = name === '' ? subject : `${subject} ${goQuote(name)}`;
  return failure(403, 'Forbidden', `${named} is forbidden: ${why}`, resourceDetails(resource, name));
}

/** Answers 403 for a path that is no resource: `/metrics`. */
export function forbiddenPath(user: string, verb: string, path: string): StatusError {
  return failure(
    403,
    'Forbidden',
    `forbidden: User ${goQuote(user)} cannot ${verb} path ${goQuote(path)}`,
    {},
  );
}

/** Answers 401. */
export function unauthorized(): StatusError {
  return failure(401, 'Unauthorized', 'Unauthorized');
}

/** Answers 400. */
export function badRequest(message: string, options: { cause?: unknown } = {}): StatusError {
  return failure(400, 'BadRequest', message, undefined, options);
}

/** Answers 405. */
export function methodNotAllowed(): StatusError {
  return failure(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  );
}

/** Answers 405 for what can be done with other resources but not with this one. */
export function verbNotSupported(verb: string, resource: GroupResource): StatusError {
  const name = qualified(resource.resource, resource.group);
  return failure(
    405,
    'MethodNotAllowed',
    `${verb} is not supported on resources of kind ${goQuote(name)}`,
    resourceDetails(resource, ''),
  );
}

/** Answers 406; `supported` are the media types that could have been asked for. */
export function notAcceptable(supported: readonly string[]): StatusError {
  return failure(
    406,
    'NotAcceptable',
    `406: Not Acceptable\n\nAvailable representations: ${supported.join(', ')}`,
    {},
  );
}

/** Answers 406 for a form that cannot be given in any of the media types. */
export function onlyAcceptable(supported: readonly string[]): StatusError {
  const message = `only the following media types are accepted: ${supported.join(', ')}`;
  return failure(406, 'NotAcceptable', message);
}

/** Answers 406 for a form that the answer cannot be given; `why` names it and what the answer is. */
export function unfitForm(why: string): StatusError {
  return failure(406, 'NotAcceptable', why);
}

/** Answers 415 for the body of a create or update; `supported` are the media types that are read. */
export function unsupportedMediaType(supported: readonly string[]): StatusError {
  return failure(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${supported.join(', ')}`,
  );
}

/** Answers 415 for the body of a patch. */
export function unsupportedPatchType(): StatusError {
  return failure(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
}

/** Answers 410 for a resourceVersion or continue token that history no longer covers. */
export function resourceExpired(message: string): StatusError {
  return failure(410, 'Expired', message);
}

/** Answers 413. */
export function requestEntityTooLarge(message: string): StatusError {
  return failure(413, 'RequestEntityTooLarge', `Request entity is too large: ${message}`);
}

/** Answers 500 with a reason: something in the server broke. */
export function internalError(message: string, options: { cause?: unknown } = {}): StatusError {
  return failure(
    500,
    'InternalError',
    `Internal error occurred: ${message}`,
    { causes: [{ message }] },
    options,
  );
}

/** Answers 500 without a reason: an error that the API passes on as it is. */
export function plainError(message: string, options: { cause?: unknown } = {}): StatusError {
  return failure(500, undefined, message, undefined, options);
}

/** Answers 503 for what something else would have to do that is not there. */
export function serviceUnavailable(message: string, options: { cause?: unknown } = {}): StatusError {
  return failure(503, 'ServiceUnavailable', message, undefined, options);
}

/** Answers 429 for what may be tried again later. */
export function tooManyRequests(
  message: string,
  retryAfterSeconds: number,
  causes: StatusCause[],
): StatusError {
  return failure(429, 'TooManyRequests', message, {
    causes,
    ...(retryAfterSeconds === 0 ? {} : { retryAfterSeconds }),
  });
}

/** Answers 504 for a request that waited too long, such as for a resourceVersion that is yet to come. */
export function timeout(message: string, retryAfterSeconds: number, causes: StatusCause[] = []): StatusError {
  return failure(504, 'Timeout', `Timeout: ${message}`, {
    ...(causes.length === 0 ? {} : { causes }),
    retryAfterSeconds,
  });
}

/** Answers 504 for a resourceVersion that the store has not reached. */
export function resourceVersionTooLarge(asked: bigint | number, current: bigint | number): StatusError {
  return timeout(`Too large resource version: ${asked}, current: ${current}`, 1, [
    { reason: 'ResourceVersionTooLarge', message: 'Too large resource version' },
  ]);
}

/** Answers 404 for a resource or subresource that nobody serves. */
export function unknownResource(): StatusError {
  return failure(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** Makes the answer of a completed delete; unlike other answers it carries no code. */
export function deleted(resource: GroupResource, name: string, uid: string): Omit<Status, 'code'> {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { ...resourceDetails(resource, name), uid },
  };
}

/** Makes the answer of a create that stored nothing to show: bindings (201), evictions (201). */
export function success(code: number): Status {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code };
}

function failure(
  code: number,
  reason: StatusReason | undefined,
  message: string,
  details?: StatusDetails,
  options: { cause?: unknown } = {},
): StatusError {
  return new StatusError(
    {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === undefined ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code,
    },
    options,
  );
}

/** The `kind` of details is the resource, for history's sake. */
function resourceDetails(resource: GroupResource, name: string): StatusDetails {
  return {
    ...(name === '' ? {} : { name }),
    ...(resource.group === '' ? {} : { group: resource.group }),
    kind: resource.resource,
  };
}

function qualified(name: string, group: string): string {
  return group === '' ? name : `${name}.${group}`;
}
