import { CodedError } from '../base/coded-error.ts';
import { LruMap } from '../base/lru-map.ts';
import type { Secret } from '../kube/secret.ts';
import type { ConfigMap, ObjectSource } from './object-source.ts';

/** Copies kept for when the API cannot be asked: more objects than the Pods of a full node refer to. */
const MAX_COPIES = 1000;

/**
 * Reads on behalf of many Pods. Whoever asks gets what was true when or after it asked; those who ask while a read of the same object is under
 * way share the next one, so that two hundred Pods with one secret need a few requests. While the API cannot be asked, the copy read last
 * stands in, as a kubelet's own does (rule 6.20); an object that is gone or may no longer be read has none.
 *
 * @param signal ends reads under way
 */
export function keptObjects(source: ObjectSource, signal: AbortSignal): ObjectSource {
  const secrets = new SharedReads<Secret>((...key) => source.secret(...key), signal);
  const configMaps = new SharedReads<ConfigMap>((...key) => source.configMap(...key), signal);
  return {
    secret: (namespace, name, now) => secrets.read(namespace, name, now),
    configMap: (namespace, name, now) => configMaps.read(namespace, name, now),
  };
}

interface Line<T> {
  readonly current: Promise<T | undefined>;
  /** Begins when the current one has ended; all who came since wait for it. */
  next: Promise<T | undefined> | undefined;
}

class SharedReads<T> {
  readonly #read: (namespace: string, name: string, signal: AbortSignal) => Promise<T | undefined>;
  readonly #signal: AbortSignal;
  readonly #lines = new Map<string, Line<T>>();
  readonly #copies = new LruMap<string, T>(MAX_COPIES);

  constructor(
    read: (namespace: string, name: string, signal: AbortSignal) => Promise<T | undefined>,
    signal: AbortSignal,
  ) {
    this.#read = read;
    this.#signal = signal;
  }

  async read(namespace: string, name: string, signal: AbortSignal): Promise<T | undefined> {
    signal.throwIfAborted();
    const key = `${namespace}/${name}`;
    const result = this.#join(key, () => this.#fetch(key, namespace, name));
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([result, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  #join(key: string, fetch: () => Promise<T | undefined>): Promise<T | undefined> {
    const line = this.#lines.get(key);
    if (line === undefined) return this.#begin(key, fetch);
    const begin = (): Promise<T | undefined> => this.#begin(key, fetch);
    line.next ??= line.current.then(begin, begin);
    return line.next;
  }

  #begin(key: string, fetch: () => Promise<T | undefined>): Promise<T | undefined> {
    const current = fetch();
    const line: Line<T> = { current, next: undefined };
    this.#lines.set(key, line);
    const end = (): void => {
      if (line.next === undefined && this.#lines.get(key) === line) this.#lines.delete(key);
    };
    current.then(end, end);
    return current;
  }

  async #fetch(key: string, namespace: string, name: string): Promise<T | undefined> {
    try {
      const object = await this.#read(namespace, name, this.#signal);
      if (object === undefined) this.#copies.delete(key);
      else this.#copies.set(key, object);
      return object;
    } catch (error) {
      this.#signal.throwIfAborted();
      const passes = error instanceof CodedError && error.retryable;
      if (!passes) this.#copies.delete(key);
      const copy = this.#copies.get(key);
      if (copy === undefined) throw error;
      return copy;
    }
  }
}
