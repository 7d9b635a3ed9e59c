import { CodedError } from '../base/coded-error.ts';
import { createInformer } from '../kube/client/informer.ts';
import type { KubeClient, ResourceType } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';

export class WaitError extends CodedError<'TIMED_OUT'> {}

export interface Wait<T extends KubeObject> {
  readonly client: KubeClient;
  readonly type: ResourceType;
  readonly namespace: string;
  readonly fieldSelector: string;
  /** Ends the sentence "Waited in vain until …". */
  readonly what: string;
  /** Told all objects that match, after each change. */
  readonly done: (objects: readonly T[]) => boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Waits until a set of objects looks as wanted, and returns them.
 *
 * @throws WaitError `TIMED_OUT`
 */
export async function waitForObjects<T extends KubeObject>(wait: Wait<T>): Promise<T[]> {
  const stop = new AbortController();
  const informer = createInformer<T>(
    wait.client,
    wait.type,
    { namespace: wait.namespace, fieldSelector: wait.fieldSelector },
    AbortSignal.any([wait.signal, stop.signal]),
  );
  const timer = setTimeout(() => stop.abort(inVain(wait)), wait.timeoutMs);
  try {
    return await new Promise<T[]>((resolve, reject) => {
      const look = (): void => {
        const objects = informer.values();
        if (wait.done(objects)) resolve(objects);
      };
      informer.onChange(look);
      informer.synced().then(look, reject);
      for (const signal of [wait.signal, stop.signal]) {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      }
    });
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

function inVain(wait: { readonly what: string; readonly timeoutMs: number }): WaitError {
  return new WaitError('TIMED_OUT', `Waited ${wait.timeoutMs / 1000} s in vain until ${wait.what}`);
}
