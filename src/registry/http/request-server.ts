import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../base/coded-error.ts';
import type { AuditLog } from '../metadata/audit-log.ts';
import { RegistryError, registryErrorFrom } from '../registry-error.ts';
import { discardAnswer, errorAnswer, sendAnswer, type Answer } from './answer.ts';
import { answerRequest, type AnsweringParts } from './answer-request.ts';
import { auditOutcome } from './audit-request.ts';
import { drainRequest } from './drain-request.ts';
import { beginTrail, type RequestTrail } from './request-trail.ts';

export interface RequestServerParts extends AnsweringParts {
  readonly audit: AuditLog;
  /** Requests of one address that are answered at the same time, until the last byte of the answer is handed over. */
  readonly concurrentPerClient: number;
}

/** Serves requests: finds the answer, writes it, and tells log, metrics and audit log what happened. */
export class RequestServer {
  readonly #parts: RequestServerParts;
  readonly #active = new Set<Promise<void>>();
  readonly #perClient = new Map<string, number>();

  constructor(parts: RequestServerParts) {
    this.#parts = parts;
  }

  /** Serves one request; never throws. */
  serve(message: IncomingMessage, response: ServerResponse, address: string): void {
    const served = this.#serve(message, response, address).finally(() => this.#active.delete(served));
    this.#active.add(served);
  }

  /** Resolves when no request is being served. */
  async idle(): Promise<void> {
    while (this.#active.size > 0) await Promise.allSettled(this.#active);
  }

  async #serve(message: IncomingMessage, response: ServerResponse, address: string): Promise<void> {
    const { metrics, service } = this.#parts;
    const trail = beginTrail(message, address, service.clock.now());
    const started = performance.now();
    metrics.begin();
    this.#perClient.set(address, (this.#perClient.get(address) ?? 0) + 1);
    let status = 499;
    let length = 0;
    try {
      const answer = await this.#answer(message, trail);
      if (response.destroyed) await discardAnswer(answer);
      else {
        status = answer.status;
        length = Number(answer.headers['Content-Length'] ?? 0);
        await sendAnswer(response, answer, { id: trail.id, head: message.method === 'HEAD' });
        if (status >= 400) drainRequest(message);
      }
    } catch (error) {
      // The connection broke under the answer: there is nobody left to tell.
      status = 499;
      service.logger.debug({ err: error, request: trail.id }, 'answer was cut off');
      response.destroy();
    } finally {
      this.#leave(address);
    }
    const seconds = (performance.now() - started) / 1000;
    const hasBody = message.method !== 'HEAD' && status !== 304 && status !== 499;
    const sent = hasBody ? length : 0;
    const received = Number(message.headers['content-length'] ?? 0);
    metrics.end(trail.kind, status, seconds, { sent, received });
    const { id, method, path, account, kind } = trail;
    const line = {
      request: id,
      method,
      path,
      kind,
      status,
      account,
      address,
      ms: Math.round(seconds * 1000),
    };
    service.logger.info(line, 'request');
  }

  async #answer(message: IncomingMessage, trail: RequestTrail): Promise<Answer> {
    try {
      const busy = this.#perClient.get(trail.address) ?? 0;
      if (busy > this.#parts.concurrentPerClient) throw tooMany(this.#parts.concurrentPerClient);
      const answer = await answerRequest(this.#parts, message, trail);
      await this.#audit(trail, answer.status, undefined);
      return answer;
    } catch (thrown) {
      const error = registryErrorFrom(thrown);
      // A client that went away is no fault of ours.
      if (error.status === 500 && !message.destroyed) {
        const { id, method, path } = trail;
        this.#parts.service.logger.error(
          { err: error.cause, request: id, method, path },
          'cannot answer a request',
        );
      }
      await this.#audit(trail, error.status, error);
      return errorAnswer(error);
    }
  }

  #leave(address: string): void {
    const left = (this.#perClient.get(address) ?? 1) - 1;
    if (left === 0) this.#perClient.delete(address);
    else this.#perClient.set(address, left);
  }

  /** Records what has to be remembered. A log that cannot be written does not undo what was done: it is said aloud. */
  async #audit(trail: RequestTrail, status: number, error: RegistryError | undefined): Promise<void> {
    const { presented, subject, account, address, id: request } = trail;
    const login = trail.kind === 'token' && status === 401;
    if (error?.code === 'QUOTA_EXCEEDED') {
      const repository = subject.target.replace(/[@:].*$/, '');
      const { message } = error;
      await this.#parts.service.notify({
        action: 'quota',
        repository,
        actor: account,
        address,
        request,
        message,
      });
    }
    const outcome = login
      ? auditOutcome(subject, { status, code: 'UNAUTHORIZED', message: 'login failed', presented: true })
      : auditOutcome(subject, { status, code: error?.code, message: error?.message ?? '', presented });
    if (outcome === undefined || (trail.kind === 'token' && !login)) return;
    if (outcome.outcome === 'denied') this.#parts.metrics.denied();
    try {
      const at = this.#parts.service.clock.now();
      await this.#parts.audit.record({ at, account, address, request, ...outcome });
    } catch (fault) {
      this.#parts.service.logger.error(
        { reason: messageOf(fault), request, ...outcome },
        'cannot write the audit log',
      );
    }
  }
}

function tooMany(limit: number): RegistryError {
  return new RegistryError('TOOMANYREQUESTS', `more than ${limit} requests of one client at a time`, {
    headers: { 'Retry-After': '1' },
    retryable: true,
  });
}
