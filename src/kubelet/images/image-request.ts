import type { ImageSpec } from '../../pull/image-service.ts';
import type { EnsureImageRequest, EventObject } from '../ensure-image.ts';

/** Says what to ask of the runtime: the image with its tag, and all annotations of the Pod (rule 3.2). */
export function specOf(request: EnsureImageRequest, image: string): ImageSpec {
  return {
    image,
    annotations: { ...request.pod.metadata.annotations },
    userSpecifiedImage: request.image,
    ...(request.runtimeHandler === undefined ? {} : { runtimeHandler: request.runtimeHandler }),
  };
}

/** Says what a request's events are about: the container, or the Pod for image volumes (rules 3.37, 4.3). */
export function eventObject({ pod, fieldPath }: EnsureImageRequest): EventObject {
  const { namespace, name, uid = '', resourceVersion } = pod.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    name,
    uid,
    ...(namespace === undefined ? {} : { namespace }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(fieldPath === undefined ? {} : { fieldPath }),
  };
}

/**
 * Waits for work that goes on whatever happens to the one who waits.
 *
 * @throws the signal's reason
 */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
