import { randomUUID } from 'node:crypto';
import { goQuote } from '../../base/go-quote.ts';
import { getOwn, isObject } from '../../kube/json/own-property.ts';
import type { Status } from '../../kube/status.ts';
import type { AdmissionRequest } from '../admission-chain.ts';
import { describeRequest } from './cel-variables.ts';
import type { MatchedRequest } from './match-request.ts';
import { webhookFailure } from './webhook-failure.ts';

const API_VERSION = 'admission.k8s.io/v1';
const KIND = `${API_VERSION}, Kind=AdmissionReview`;

export interface Review {
  readonly uid: string;
  readonly body: object;
}

/** What a webhook decided. */
export interface ReviewAnswer {
  readonly allowed: boolean;
  readonly status?: Partial<Status>;
  /** JSON text of a patch. */
  readonly patch?: string;
  readonly patchType?: string;
  readonly auditAnnotations: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

/** Makes the review that a webhook is asked about. */
export function makeReview(request: AdmissionRequest, matched: MatchedRequest): Review {
  const uid = randomUUID();
  const body = {
    kind: 'AdmissionReview',
    apiVersion: API_VERSION,
    request: {
      uid,
      ...describeRequest(request, matched),
      object: matched.object ?? null,
      oldObject: matched.oldObject ?? null,
      dryRun: request.dryRun,
      options: request.options ?? null,
    },
  };
  return { uid, body };
}

/**
 * Reads what a webhook answered, and sees to it that the answer is for this review.
 *
 * @throws WebhookFailure `RESPONSE`
 */
export function readReview(name: string, uid: string, answer: unknown, mutating: boolean): ReviewAnswer {
  const invalid = (why: string): Error =>
    webhookFailure('RESPONSE', name, `received invalid webhook response: ${why}`);
  const root = isObject(answer) ? answer : {};
  const kind = `${text(root, 'apiVersion').replace(/^([^/]*)$/, '/$1')}, Kind=${text(root, 'kind')}`;
  const response = getOwn(root, 'response');
  if (!isObject(response)) throw invalid('webhook response was absent');
  const given = text(response, 'uid');
  if (given !== uid) throw invalid(`expected response.uid=${goQuote(uid)}, got ${goQuote(given)}`);
  if (kind !== KIND) throw invalid(`expected webhook response of ${KIND}, got ${kind}`);
  const encoded = text(response, 'patch');
  const type = getOwn(response, 'patchType');
  if (mutating) {
    if (encoded !== '' && typeof type !== 'string') {
      throw invalid('webhook returned response.patch but not response.patchType');
    }
    if (encoded === '' && typeof type === 'string') {
      throw invalid('webhook returned response.patchType but not response.patch');
    }
    if (type === '') throw invalid('webhook returned invalid response.patchType of ""');
  } else {
    if (encoded !== '') throw invalid('validating webhook may not return response.patch');
    if (typeof type === 'string') throw invalid('validating webhook may not return response.patchType');
  }
  const status = getOwn(response, 'status');
  const warnings = getOwn(response, 'warnings');
  return {
    allowed: getOwn(response, 'allowed') === true,
    ...(isObject(status) ? { status } : {}),
    ...(encoded === '' ? {} : { patch: Buffer.from(encoded, 'base64').toString() }),
    ...(typeof type === 'string' ? { patchType: type } : {}),
    auditAnnotations: stringsIn(getOwn(response, 'auditAnnotations')),
    warnings: Array.isArray(warnings)
      ? warnings.filter((each): each is string => typeof each === 'string')
      : [],
  };
}

function text(object: Readonly<Record<string, unknown>>, key: string): string {
  const value = getOwn(object, key);
  return typeof value === 'string' ? value : '';
}

function stringsIn(value: unknown): Record<string, string> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
