import { isAbsolute } from 'node:path';
import { credentials, makeClientConstructor, Metadata, type Client, type ServiceError } from '@grpc/grpc-js';
import { CriError } from './cri-error.ts';
import { loadService, MESSAGE_LIMITS } from './load-definition.ts';
import { STATUS_NAMES } from './status-table.ts';

/** Limit of every call but a pull, as a kubelet sets it (rule 12.9). */
export const DEFAULT_REQUEST_TIMEOUT_MS = 120_000;

/** What a runtime refused: its gRPC status by name and its text. */
export class CriCallError extends CriError {
  readonly status: string;
  readonly description: string;

  constructor(status: string, description: string, cause: unknown) {
    super(
      status === 'Unavailable' ? 'UNAVAILABLE' : 'FAILED',
      `rpc error: code = ${status} desc = ${description}`,
      { cause, retryable: status === 'Unavailable' || status === 'DeadlineExceeded' },
    );
    this.status = status;
    this.description = description;
  }
}

/**
 * Turns what people write as an endpoint, `unix:///run/x.sock` or a bare path, into a gRPC target.
 *
 * @throws CriError `BAD_ENDPOINT`
 */
export function endpointTarget(endpoint: string): string {
  const path = endpoint.startsWith('unix://') ? endpoint.slice('unix://'.length) : endpoint;
  if (isAbsolute(path)) return `unix:${path}`;
  throw new CriError(
    'BAD_ENDPOINT',
    `Cannot use the CRI endpoint ${JSON.stringify(endpoint)}: it is not of the form unix:///path`,
  );
}

type Method = (
  request: object,
  metadata: Metadata,
  options: { deadline?: number },
  done: (error: ServiceError | null, response: unknown) => void,
) => { cancel(): void };

/** Calls one service of a runtime. Connects by itself, and again after the runtime was away. */
export class CriConnection {
  readonly #client: Client;
  readonly #requestTimeoutMs: number;

  constructor(
    service: 'ImageService' | 'RuntimeService',
    endpoint: string,
    requestTimeoutMs = DEFAULT_REQUEST_TIMEOUT_MS,
  ) {
    const Constructor = makeClientConstructor(loadService(service), service);
    this.#client = new Constructor(endpointTarget(endpoint), credentials.createInsecure(), MESSAGE_LIMITS);
    this.#requestTimeoutMs = requestTimeoutMs;
  }

  /**
   * Calls and waits for the answer.
   *
   * @param timeoutMs the connection's own when absent, 0 for none
   * @throws CriCallError
   */
  async call<A>(
    method: string,
    request: object,
    signal: AbortSignal,
    timeoutMs = this.#requestTimeoutMs,
  ): Promise<A> {
    signal.throwIfAborted();
    const bound = (this.#client as unknown as Record<string, Method | undefined>)[method]?.bind(this.#client);
    if (bound === undefined) throw new CriError('BAD_ANSWER', `Cannot call "${method}": no such call`);
    return await new Promise<A>((resolve, reject) => {
      const options = timeoutMs === 0 ? {} : { deadline: Date.now() + timeoutMs };
      const call = bound(request, new Metadata(), options, (error, response) => {
        signal.removeEventListener('abort', cancel);
        if (error === null) resolve(response as A);
        else
          reject(new CriCallError(STATUS_NAMES[error.code] ?? `Code(${error.code})`, error.details, error));
      });
      const cancel = (): void => call.cancel();
      signal.addEventListener('abort', cancel, { once: true });
    });
  }

  close(): void {
    this.#client.close();
  }
}
