import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseImagePolicyConfig, type ImagePolicyConfig } from '../admission/image-policy-config.ts';
import {
  ImagePolicyWebhook,
  type PostReview,
  type WebhookAnswer,
} from '../admission/image-policy-webhook.ts';
import type { Clock } from '../base/clock.ts';
import { CodedError, messageOf } from '../base/coded-error.ts';
import { newAgent, type Agent } from '../base/undici-parts.ts';
import { loadKubeconfig, type ClientConfig } from '../kube/client/kubeconfig.ts';
import { parseYaml } from '../kube/decode/parse-yaml.ts';
import { getOwn, isObject } from '../kube/json/own-property.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import { checkOutcome, reviewOf } from './pod-admission.ts';

export class AdmissionConfigError extends CodedError<'UNREADABLE' | 'MALFORMED' | 'NO_CONFIG'> {}

const NAME = 'ImagePolicyWebhook';
/** How long the webhook may take for one answer, as upstream's client of webhooks waits. */
const REQUEST_MS = 30_000;
/** An answer is a verdict and a sentence. */
const MAX_ANSWER = 1024 * 1024;

/** Failures of the connection, after which another attempt may find the webhook again. */
const RETRYABLE: ReadonlySet<string> = new Set(['ECONNRESET', 'ECONNREFUSED', 'UND_ERR_SOCKET']);

export interface ImagePolicyPlugin {
  readonly plugin: AdmissionPlugin;
  close(): Promise<void>;
}

/**
 * Makes the plugin ImagePolicyWebhook from a kube-apiserver's admission control configuration (rule 2.14): its
 * settings stand in the file itself or in another that it names.
 *
 * @throws AdmissionConfigError, ImagePolicyConfigError, KubeconfigError
 */
export async function imagePolicyPlugin(
  configFile: string | undefined,
  clock: Clock,
): Promise<ImagePolicyPlugin> {
  if (configFile === undefined) {
    throw new AdmissionConfigError('NO_CONFIG', `Cannot start ${NAME}: no admission control config file`);
  }
  const { config, directory } = await readConfig(configFile);
  const webhook = await loadKubeconfig(resolve(directory, config.kubeConfigFile));
  const agent = newAgent({
    headersTimeout: REQUEST_MS,
    bodyTimeout: REQUEST_MS,
    connect: {
      timeout: REQUEST_MS,
      rejectUnauthorized: webhook.insecure !== true,
      ...(webhook.ca === undefined ? {} : { ca: webhook.ca }),
      ...(webhook.cert === undefined ? {} : { cert: webhook.cert }),
      ...(webhook.key === undefined ? {} : { key: webhook.key }),
      ...(webhook.serverName === undefined ? {} : { servername: webhook.serverName }),
    },
  });
  const policy = new ImagePolicyWebhook({
    config,
    post: poster(agent, webhook),
    clock,
    random: Math.random,
  });
  return {
    plugin: {
      name: NAME,
      validate: async (request, signal) => {
        const review = reviewOf(request);
        if (review !== undefined) checkOutcome(request, await policy.validate(review, signal));
      },
    },
    close: () => agent.destroy(),
  };
}

async function readConfig(path: string): Promise<{ config: ImagePolicyConfig; directory: string }> {
  const document = await readDocument(path);
  const plugins = getOwn(document, 'plugins');
  const found = (Array.isArray(plugins) ? plugins : []).find(
    (entry: unknown) => isObject(entry) && entry['name'] === NAME,
  ) as Record<string, unknown> | undefined;
  const directory = dirname(path);
  const other = found?.['path'];
  if (typeof other !== 'string' || other === '') {
    return { config: parseImagePolicyConfig(found?.['configuration']), directory };
  }
  const place = resolve(directory, other);
  return { config: parseImagePolicyConfig(await readDocument(place)), directory: dirname(place) };
}

async function readDocument(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new AdmissionConfigError('UNREADABLE', `Cannot read "${path}": ${messageOf(error)}`, {
      cause: error,
    });
  }
  try {
    const { value } = parseYaml(text);
    if (isObject(value)) return value;
  } catch (error) {
    throw new AdmissionConfigError('MALFORMED', `Cannot read "${path}": ${messageOf(error)}`, {
      cause: error,
    });
  }
  throw new AdmissionConfigError('MALFORMED', `Cannot read "${path}": it holds no object`);
}

function poster(agent: Agent, webhook: ClientConfig): PostReview {
  const { origin, pathname, search } = new URL(webhook.server);
  const { token } = webhook;
  return async (review, signal): Promise<WebhookAnswer> => {
    try {
      const answer = await agent.request({
        origin,
        path: `${pathname}${search}`,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: JSON.stringify(review),
        signal,
      });
      return { status: answer.statusCode, body: await readAnswer(answer.body) };
    } catch (error) {
      signal.throwIfAborted();
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      throw Object.assign(new Error(`Post "${webhook.server}": ${messageOf(error)}`, { cause: error }), {
        retryable: RETRYABLE.has(code),
      });
    }
  };
}

async function readAnswer(body: AsyncIterable<Uint8Array>): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER) throw new RangeError(`the answer is longer than ${MAX_ANSWER} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // Whoever judges the answer says that it is no review.
    return undefined;
  }
}
