import { CodedError } from '../base/coded-error.ts';
import { createInformer } from '../kube/client/informer.ts';
import type { KubeClient, ResourceType } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';

export class WaitError extends CodedError<'TIMED_OUT'> {}

/**
 * Waits until an object looks as `done` wants it; undefined is an object that is not there.
 *
 * @throws WaitError `TIMED_OUT` with `what` in it after `timeoutMs`
 */
export async function waitForObject<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType,
  name: { namespace: string; name: string },
  what: string,
  done: (object: T | undefined) => boolean,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<T | undefined> {
  const stop = new AbortController();
  const deadline = AbortSignal.timeout(timeoutMs);
  const any = AbortSignal.any([signal, stop.signal]);
  const informer = createInformer<T>(
    client,
    type,
    { namespace: name.namespace, fieldSelector: `metadata.name=${name.name}` },
    any,
  );
  try {
    return await new Promise<T | undefined>((resolve, reject) => {
      const look = (): void => {
        const object = informer.get(name.namespace, name.name);
        if (done(object)) resolve(object);
      };
      informer.onChange(look);
      informer.synced().then(look, reject);
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      deadline.addEventListener(
        'abort',
        () => reject(new WaitError('TIMED_OUT', `Waited ${timeoutMs / 1000} s in vain until ${what}`)),
        { once: true },
      );
    });
  } finally {
    stop.abort();
  }
}
