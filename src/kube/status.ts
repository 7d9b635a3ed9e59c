import { CodedError } from '../base/coded-error.ts';
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

export declare function notFound(resource: GroupResource, name: string): StatusError;
export declare function alreadyExists(resource: GroupResource, name: string): StatusError;
/** `message` defaults to the text about a modified object. */
export declare function conflict(resource: GroupResource, name: string, message?: string): StatusError;
export declare function invalid(kind: GroupKind, name: string, errors: readonly FieldError[]): StatusError;
/** `secrets "s1" is forbidden: <why>`; without a name `secrets is forbidden: <why>`. */
export declare function forbidden(resource: GroupResource, name: string, why: string): StatusError;
export declare function forbiddenPath(user: string, verb: string, path: string): StatusError;
export declare function unauthorized(): StatusError;
export declare function badRequest(message: string): StatusError;
export declare function methodNotAllowed(): StatusError;
export declare function notAcceptable(supported: readonly string[]): StatusError;
export declare function unsupportedMediaType(supported: readonly string[]): StatusError;
export declare function resourceExpired(message: string): StatusError;
export declare function gone(message: string): StatusError;
export declare function requestEntityTooLarge(message: string): StatusError;
export declare function tooManyRequests(message: string, retryAfterSeconds: number): StatusError;
export declare function internalError(message: string): StatusError;
export declare function serverTimeout(
  resource: GroupResource,
  verb: string,
  retryAfterSeconds: number,
): StatusError;
export declare function timeout(message: string, retryAfterSeconds: number): StatusError;
export declare function serviceUnavailable(message: string): StatusError;
/** The answer for a resource or path that nobody serves: `the server could not find the requested resource`. */
export declare function unknownResource(): StatusError;
/** `{"status":"Success","details":{…}}`, the answer of a completed delete. */
export declare function deleted(resource: GroupResource, name: string, uid: string): Status;
