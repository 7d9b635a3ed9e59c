import { randomUUID } from 'node:crypto';
import type { Ingest } from '../../content/store.ts';
import type { Lease } from '../../images/image-store.ts';
import { ImageError } from '../../images/image-error.ts';
import type { Credential } from '../../remote/credential.ts';

/** What one client has under way: all of it ends with the client. */
export class Session {
  readonly id: string = randomUUID();
  readonly #gone = new AbortController();
  readonly #leases = new Map<string, Lease>();
  readonly #ingests = new Map<string, Ingest>();
  readonly #questions = new Map<string, (credential: Credential | undefined) => void>();
  /** Work on ingests that has to end before they are closed. */
  readonly #working = new Set<Promise<unknown>>();

  /** Aborts when the client has gone. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** Takes a lease; it is given back at once if the client went meanwhile. */
  async addLease(lease: Lease): Promise<string> {
    if (this.signal.aborted) await lease.release();
    this.signal.throwIfAborted();
    this.#leases.set(lease.id, lease);
    return lease.id;
  }

  lease(id: string): Lease {
    return found(this.#leases.get(id), 'lease', id);
  }

  async releaseLease(id: string): Promise<void> {
    const lease = this.#leases.get(id);
    this.#leases.delete(id);
    await lease?.release();
  }

  async addIngest(ingest: Ingest): Promise<string> {
    if (this.signal.aborted) await ingest.close();
    this.signal.throwIfAborted();
    const id = randomUUID();
    this.#ingests.set(id, ingest);
    return id;
  }

  /** Runs work on an ingest, of which the session's end waits. */
  async withIngest<T>(id: string, work: (ingest: Ingest) => Promise<T>): Promise<T> {
    const running = work(found(this.#ingests.get(id), 'ingest', id));
    this.#working.add(running);
    try {
      return await running;
    } finally {
      this.#working.delete(running);
    }
  }

  async endIngest(id: string, keep: boolean): Promise<void> {
    const ingest = this.#ingests.get(id);
    this.#ingests.delete(id);
    await (keep ? ingest?.close() : ingest?.abort());
  }

  /** Asks the client which credential it has. */
  askCredential(send: (id: string) => void): Promise<Credential | undefined> {
    const id = randomUUID();
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#questions.delete(id);
        reject(this.signal.reason as Error);
      };
      this.signal.addEventListener('abort', leave, { once: true });
      this.#questions.set(id, (credential) => {
        this.signal.removeEventListener('abort', leave);
        this.#questions.delete(id);
        resolve(credential);
      });
      send(id);
    });
  }

  answerCredential(id: string, credential: Credential | undefined): void {
    found(this.#questions.get(id), 'question', id)(credential);
  }

  /** Gives back all that the client held. */
  async end(reason: Error): Promise<void> {
    this.#gone.abort(reason);
    await Promise.allSettled(this.#working);
    for (const ingest of this.#ingests.values()) await ingest.close();
    for (const lease of this.#leases.values()) await lease.release();
    this.#ingests.clear();
    this.#leases.clear();
  }
}

function found<T>(value: T | undefined, kind: string, id: string): T {
  if (value === undefined) throw new ImageError('NOT_FOUND', `Cannot use ${kind} "${id}": it has ended`);
  return value;
}
