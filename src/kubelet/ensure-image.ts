import type { Pod, PullPolicy } from '../kube/pod.ts';

/** Waiting reasons that image handling gives a container (behaviour rule 4.4); other texts are passed on verbatim (4.12). */
export type ImageWaitingReason =
  | 'ErrImagePull'
  | 'ImagePullBackOff'
  | 'ErrImageNeverPull'
  | 'InvalidImageName'
  | 'ImageInspectError'
  | 'RegistryUnavailable'
  | 'SignatureValidationFailed';

export interface EnsureImageRequest {
  readonly pod: Pod;
  /** `spec.containers{NAME}` and the like; undefined for image volumes, whose events are the Pod's (4.3, 3.37). */
  readonly fieldPath: string | undefined;
  /** Image string exactly as in the Pod. */
  readonly image: string;
  readonly pullPolicy: PullPolicy;
  readonly runtimeHandler?: string;
}

export type EnsureImageResult =
  | { readonly ok: true; readonly imageRef: string }
  | { readonly ok: false; readonly reason: ImageWaitingReason | (string & {}); readonly message: string };

/** Makes sure that a Pod may use an image and that it is on the node: decision, credentials, back-off, queue, events. */
export interface ImageManager {
  ensureImage(request: EnsureImageRequest, signal: AbortSignal): Promise<EnsureImageResult>;
  /** What the node's page of pulls shows, as JSON. */
  pulls?(): object;
}

/** Names what an event is about. */
export interface EventObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
  readonly fieldPath?: string;
}

/** Records events; never blocks and never throws. Identical events are counted, floods are limited. */
export interface EventRecorder {
  event(object: EventObject, type: 'Normal' | 'Warning', reason: string, message: string): void;
}
