import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import type { AdmissionRequest } from './admission-review.ts';
import { containersOf } from './pod-template.ts';

export const IMAGE_REVIEW_VERSION = 'imagepolicy.k8s.io/v1alpha1';
const ANNOTATION_PART = '.image-policy.k8s.io/';

/** The question to an image policy webhook (rule 2.16). */
export interface ImageReviewSpec {
  readonly containers?: readonly { readonly image?: string }[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly namespace?: string;
}

export interface ImageReviewStatus {
  readonly allowed: boolean;
  readonly reason?: string;
  readonly auditAnnotations?: Readonly<Record<string, string>>;
}

/** Shapes the question: images as written, image volumes left out, annotations meant for it only (rule 2.16). */
export function imageReviewSpec(request: AdmissionRequest, pod: Pod): ImageReviewSpec {
  const ephemeral = request.subresource === 'ephemeralcontainers';
  const listed = ephemeral
    ? containersOf(pod.spec, ['ephemeralContainers'])
    : [...containersOf(pod.spec, ['containers']), ...containersOf(pod.spec, ['initContainers'])];
  const annotations = Object.entries(pod.metadata.annotations ?? {}).filter(([key]) =>
    key.includes(ANNOTATION_PART),
  );
  return {
    ...(listed.length === 0
      ? {}
      : { containers: listed.map(({ container: { image = '' } }) => (image === '' ? {} : { image })) }),
    ...(annotations.length === 0
      ? {}
      : { annotations: Object.fromEntries(annotations.sort(([a], [b]) => (a < b ? -1 : 1))) }),
    ...(request.namespace === '' ? {} : { namespace: request.namespace }),
  };
}

export function imageReview(spec: ImageReviewSpec): KubeObject & { spec: ImageReviewSpec } {
  return {
    apiVersion: IMAGE_REVIEW_VERSION,
    kind: 'ImageReview',
    metadata: {} as KubeObject['metadata'],
    spec,
  };
}

/** Reads the webhook's answer; undefined when it is none. */
export function readImageReviewStatus(body: unknown): ImageReviewStatus | undefined {
  const status = property(body, 'status');
  const allowed = property(status, 'allowed') ?? false;
  const reason = property(status, 'reason') ?? '';
  const annotations = property(status, 'auditAnnotations') ?? {};
  if (property(body, 'kind') !== 'ImageReview' || typeof allowed !== 'boolean' || typeof reason !== 'string')
    return undefined;
  if (typeof annotations !== 'object') return undefined;
  const texts = Object.entries(annotations).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return {
    allowed,
    ...(reason === '' ? {} : { reason }),
    ...(texts.length === 0 ? {} : { auditAnnotations: Object.fromEntries(texts) }),
  };
}

function property(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name] ?? undefined;
}
