import { isDeepStrictEqual } from 'node:util';
import { isExempt } from '../../admission/rule-match.ts';
import { messageOf } from '../../base/coded-error.ts';
import { setDefaults, type DefaultOptions } from '../../kube/default/set-defaults.ts';
import type { KubeObject } from '../../kube/object.ts';
import { patchObject } from '../../kube/patch/patch-object.ts';
import { forbidden, internalError } from '../../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission-chain.ts';
import { asServed, asStored } from '../api-call.ts';
import type { Authorizer } from '../authorizer.ts';
import { MATCH_VARIABLES, variablesOf } from './cel-variables.ts';
import { evaluateConditions } from './match-conditions.ts';
import { matchRequest, type MatchContext, type MatchedRequest } from './match-request.ts';
import type { WebhookClient } from './webhook-client.ts';
import { webhooksOf, type ConfiguredWebhook, type StoredObjects } from './webhook-configuration.ts';
import { denial, failClosed, WebhookFailure, webhookFailure } from './webhook-failure.ts';
import { makeReview, readReview, type ReviewAnswer } from './webhook-review.ts';

export interface WebhookContext extends MatchContext {
  readonly client: WebhookClient;
  readonly authorizer: Authorizer;
  readonly defaults: DefaultOptions;
  /** Told of webhooks that failed and were passed over. */
  readonly onIgnored: (webhook: string, why: string) => void;
}

interface Ready {
  readonly configured: ConfiguredWebhook;
  readonly matched: MatchedRequest;
}

/** Lets the webhooks of MutatingWebhookConfigurations change what is written, one after the other. */
export function mutatingWebhooks(context: WebhookContext): AdmissionPlugin & { close(): void } {
  const webhooks = webhooksOf(context.store, 'mutating');
  /** What each webhook left behind in the first round of a request, to tell whether it must look again. */
  const left = new WeakMap<object, Map<string, KubeObject | undefined>>();
  return {
    name: 'MutatingAdmissionWebhook',
    close: () => webhooks.close(),
    admit: async (request, signal) => {
      const { rounds } = request;
      const after =
        (rounds === undefined ? undefined : left.get(rounds)) ?? new Map<string, KubeObject | undefined>();
      if (rounds !== undefined) left.set(rounds, after);
      for (const configured of webhooksFor(webhooks, request)) {
        const { webhook, id } = configured;
        if (rounds?.round === 2) {
          const isAsked = webhook.reinvocationPolicy === 'IfNeeded' && after.has(id);
          if (!isAsked || isDeepStrictEqual(after.get(id), request.object)) continue;
        }
        const matched = match(context, request, configured);
        if (matched === undefined) continue;
        const before = structuredClone(request.object);
        const answer = await askOrIgnore(context, request, { configured, matched }, true, signal);
        if (answer !== undefined) takePatch(context, request, { configured, matched }, answer);
        if (rounds !== undefined && !isDeepStrictEqual(before, request.object)) rounds.again = true;
        after.set(id, structuredClone(request.object));
      }
    },
  };
}

/** Lets the webhooks of ValidatingWebhookConfigurations refuse what is written; all are asked at once. */
export function validatingWebhooks(context: WebhookContext): AdmissionPlugin & { close(): void } {
  const webhooks = webhooksOf(context.store, 'validating');
  return {
    name: 'ValidatingAdmissionWebhook',
    close: () => webhooks.close(),
    validate: async (request, signal) => {
      const ready: Ready[] = [];
      for (const configured of webhooksFor(webhooks, request)) {
        const matched = match(context, request, configured);
        if (matched !== undefined) ready.push({ configured, matched });
      }
      const outcomes = await Promise.allSettled(
        ready.map((each) => askOrIgnore(context, request, each, false, signal)),
      );
      const refused = outcomes.find((outcome) => outcome.status === 'rejected');
      if (refused !== undefined) throw refused.reason;
    },
  };
}

function webhooksFor(
  webhooks: StoredObjects<readonly ConfiguredWebhook[]>,
  request: AdmissionRequest,
): readonly ConfiguredWebhook[] {
  return isExempt(request.resource) ? [] : webhooks.value;
}

function match(
  context: WebhookContext,
  request: AdmissionRequest,
  { webhook }: ConfiguredWebhook,
): MatchedRequest | undefined {
  const matched = matchRequest(context, request, webhook);
  const conditions = webhook.matchConditions ?? [];
  if (matched === undefined || conditions.length === 0) return matched;
  const variables = variablesOf(request, matched, context.authorizer);
  const { matches, error } = evaluateConditions(conditions, pick(variables));
  if (error !== undefined && webhook.failurePolicy !== 'Ignore') {
    throw forbidden(request.resource, request.name, error);
  }
  return matches ? matched : undefined;
}

function pick(variables: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(MATCH_VARIABLES.map((name) => [name, variables[name]]));
}

/** Asks one webhook; `undefined` when it failed and may be passed over. */
async function askOrIgnore(
  context: WebhookContext,
  request: AdmissionRequest,
  ready: Ready,
  mutating: boolean,
  signal: AbortSignal,
): Promise<ReviewAnswer | undefined> {
  const { configured, matched } = ready;
  const { webhook } = configured;
  try {
    const { uid, body } = makeReview(request, matched);
    const answer = readReview(
      webhook.name,
      uid,
      await context.client.post(configured, body, signal),
      mutating,
    );
    for (const [key, value] of Object.entries(answer.auditAnnotations)) {
      request.auditAnnotations?.set(`${webhook.name}/${key}`, value);
    }
    request.warnings.push(...answer.warnings);
    if (!answer.allowed) throw denial(webhook.name, answer.status);
    if (answer.patchType !== undefined && answer.patchType !== 'JSONPatch') {
      throw webhookFailure('RESPONSE', webhook.name, `unsupported patch type "${answer.patchType}"`);
    }
    return answer;
  } catch (error) {
    if (!(error instanceof WebhookFailure)) throw error;
    if (webhook.failurePolicy !== 'Ignore') throw failClosed(error);
    const key = `failed-open.${mutating ? 'mutating' : 'validating'}.webhook.admission.k8s.io/round_0_index_${configured.index}`;
    request.auditAnnotations?.set(key, webhook.name);
    context.onIgnored(webhook.name, error.message);
    return undefined;
  }
}

function takePatch(
  context: WebhookContext,
  request: AdmissionRequest,
  { matched }: Ready,
  { patch }: ReviewAnswer,
): void {
  // A request without an object has nothing to be changed; a patch for it is passed over, as upstream does.
  if (patch === undefined || matched.object === undefined) return;
  let object: KubeObject;
  try {
    ({ object } = patchObject(matched.object, Buffer.from(patch), {
      mediaType: 'application/json-patch+json',
      resource: matched.resource,
      fieldValidation: 'Ignore',
    }));
  } catch (error) {
    // The reason for what the client of a patch would be told: why the operation does not fit.
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw internalError(messageOf(cause), { cause: error });
  }
  setDefaults(object, context.defaults);
  request.object =
    matched.resource === request.resource
      ? object
      : asServed(request.resource, asStored(matched.resource, object));
}
