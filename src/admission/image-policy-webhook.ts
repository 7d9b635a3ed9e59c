import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import { LruMap } from '../base/lru-map.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import {
  forbidden,
  forbiddenMessage,
  notAPod,
  pass,
  type AdmissionRequest,
  type TracedOutcome,
} from './admission-review.ts';
import type { ImagePolicyConfig } from './image-policy-config.ts';
import {
  imageReview,
  imageReviewSpec,
  readImageReviewStatus,
  type ImageReviewStatus,
} from './image-review.ts';

/** Answers kept (rule 2.17). */
const CACHE_SIZE = 1024;
const ATTEMPTS = 5;
const BACKOFF_FACTOR = 1.5;
const BACKOFF_JITTER = 0.2;
const AUDIT_PREFIX = 'imagepolicywebhook.image-policy.k8s.io/';
const FAILED_OPEN_ANNOTATION = 'alpha.image-policy.k8s.io/failed-open';

/** What came back from the webhook. */
export interface WebhookAnswer {
  /** HTTP status. */
  readonly status: number;
  /** The decoded JSON body. */
  readonly body: unknown;
}

/**
 * Posts a question to the webhook; rejects when no answer came. A rejection whose error has `retryable: true` is tried again.
 */
export type PostReview = (review: KubeObject, signal: AbortSignal) => Promise<WebhookAnswer>;

export interface ImagePolicyWebhookOptions {
  readonly config: ImagePolicyConfig;
  readonly post: PostReview;
  readonly clock: Clock;
  /** A number from 0 to 1, as `Math.random`. */
  readonly random: () => number;
}

/** Asks an external policy about the images of each Pod (rules 2.14 to 2.20). Off by default; only validates. */
export class ImagePolicyWebhook {
  readonly #options: ImagePolicyWebhookOptions;
  readonly #answers = new LruMap<string, { readonly status: ImageReviewStatus; readonly until: number }>(
    CACHE_SIZE,
  );

  constructor(options: ImagePolicyWebhookOptions) {
    this.#options = options;
  }

  /** @throws the signal's reason */
  async validate(request: AdmissionRequest, signal: AbortSignal): Promise<TracedOutcome> {
    const { operation, resource, subresource = '', object } = request;
    const concerned =
      resource === 'pods' &&
      (subresource === '' || subresource === 'ephemeralcontainers') &&
      (operation === 'CREATE' || operation === 'UPDATE');
    if (!concerned) return pass(request);
    if (!isPod(object)) return notAPod();
    const { config, clock } = this.#options;
    const spec = imageReviewSpec(request, object);
    const key = JSON.stringify(spec);
    const known = this.#answers.get(key);
    if (known !== undefined && clock.now() < known.until) return verdict(request, known.status, 'remembered');
    let status: ImageReviewStatus;
    try {
      status = await this.#ask(imageReview(spec), signal);
    } catch (error) {
      signal.throwIfAborted();
      return this.#unanswered(request, object, messageOf(error));
    }
    const ttl = status.allowed ? config.allowTtl : config.denyTtl;
    if (ttl > 0) this.#answers.set(key, { status, until: clock.now() + ttl });
    return verdict(request, status, 'asked');
  }

  async #ask(review: KubeObject, signal: AbortSignal): Promise<ImageReviewStatus> {
    const answer = await this.#postWithRetries(review, signal);
    if (answer.status < 200 || answer.status >= 300)
      throw new Error(`Error contacting webhook: ${answer.status}`);
    const status = readImageReviewStatus(answer.body);
    if (status === undefined) throw new Error('the answer of the webhook is no ImageReview');
    return status;
  }

  /** Rule 2.15. */
  async #postWithRetries(review: KubeObject, signal: AbortSignal): Promise<WebhookAnswer> {
    const { config, post, clock, random } = this.#options;
    let pause = config.retryBackoff;
    for (let attempt = 1; ; attempt++) {
      const last = attempt === ATTEMPTS || config.retryBackoff === 0;
      try {
        const answer = await post(review, signal);
        if (last || !(answer.status === 429 || answer.status === 500 || answer.status === 504)) return answer;
      } catch (error) {
        signal.throwIfAborted();
        const retryable =
          typeof error === 'object' && error !== null && 'retryable' in error && error.retryable === true;
        if (last || !retryable) throw error;
      }
      await clock.sleep(pause * (1 + random() * BACKOFF_JITTER), signal);
      pause *= BACKOFF_FACTOR;
    }
  }

  /** Rule 2.19. */
  #unanswered(request: AdmissionRequest, pod: Pod, why: string): TracedOutcome {
    if (!this.#options.config.defaultAllow) return forbidden(request, '2.19', why);
    const annotations = { ...pod.metadata.annotations, [FAILED_OPEN_ANNOTATION]: 'true' };
    return {
      result: {
        allowed: true,
        object: { ...pod, metadata: { ...pod.metadata, annotations } },
        auditAnnotations: { [`${AUDIT_PREFIX}failed-open`]: 'true' },
      },
      trace: [{ rule: '2.19', says: `the webhook cannot be asked (${why}) and Pods pass then` }],
    };
  }
}

/** Rules 2.18 and 2.20. */
function verdict(request: AdmissionRequest, status: ImageReviewStatus, how: string): TracedOutcome {
  const auditAnnotations = Object.fromEntries(
    Object.entries(status.auditAnnotations ?? {}).map(([key, value]) => [AUDIT_PREFIX + key, value]),
  );
  if (status.allowed) {
    return {
      result: { allowed: true, object: request.object, auditAnnotations },
      trace: [{ rule: '2.17', says: `the image policy webhook allows the images (${how})` }],
    };
  }
  const why =
    status.reason === undefined
      ? 'one or more images rejected by webhook backend'
      : `image policy webhook backend denied one or more images: ${status.reason}`;
  return {
    result: {
      allowed: false,
      reason: 'Forbidden',
      message: forbiddenMessage(request, why),
      auditAnnotations,
    },
    trace: [{ rule: '2.18', says: `${why} (${how})` }],
  };
}

function isPod(object: KubeObject): object is Pod {
  const spec: unknown = 'spec' in object ? object.spec : undefined;
  return object.kind === 'Pod' && typeof spec === 'object' && spec !== null;
}
