import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { AuditSubject } from './audit-request.ts';
import type { RequestKind } from './registry-metrics.ts';

/** Request IDs that a proxy in front may give: what is safe in logs and headers. */
const FOREIGN_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** What became known of a request while it was answered: for its log line, its metrics and the audit log. */
export interface RequestTrail {
  readonly id: string;
  readonly startedAt: number;
  readonly method: string;
  /** Without the query, which may hold a secret. */
  readonly path: string;
  readonly address: string;
  /** Whether the request carries a credential. */
  readonly presented: boolean;
  kind: RequestKind;
  account: string;
  subject: AuditSubject;
}

/** Begins the trail of a request. */
export function beginTrail(message: IncomingMessage, address: string, now: number): RequestTrail {
  const given = message.headers['x-request-id'];
  const target = message.url ?? '/';
  const mark = target.indexOf('?');
  return {
    id: typeof given === 'string' && FOREIGN_ID.test(given) ? given : randomUUID(),
    startedAt: now,
    method: message.method ?? 'GET',
    path: mark < 0 ? target : target.slice(0, mark),
    address,
    presented: message.headers.authorization !== undefined,
    kind: 'other',
    account: '',
    subject: { action: '', target: '' },
  };
}
