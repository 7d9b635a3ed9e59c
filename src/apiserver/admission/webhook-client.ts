import { X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns';
import { messageOf } from '../../base/coded-error.ts';
import { goQuote } from '../../base/go-quote.ts';
import { newAgent, type Agent } from '../../base/undici-parts.ts';
import type { KubeObject } from '../../kube/object.ts';
import { describeDialFailure } from '../../remote/dial-error.ts';
import type { ObjectStore } from '../object-store.ts';
import type { ConfiguredWebhook, Webhook } from './webhook-configuration.ts';
import { webhookFailure } from './webhook-failure.ts';

/** A review's answer holds at most a patch of an object: as much as a request may bring. */
const MAX_ANSWER = 3 * 1024 * 1024;
/** Connections kept open to different webhooks. */
const MAX_AGENTS = 64;
const DEFAULT_SECONDS = 10;
const HTTPS = 443;

interface Place {
  readonly url: URL;
  /** The address as it was configured, port included. */
  readonly shown: string;
  /** Where to connect when the name in the address does not say. */
  readonly dial?: { readonly host: string; readonly port: number };
}

interface Endpoints extends KubeObject {
  subsets?: { addresses?: { ip: string }[]; ports?: { name?: string; port: number }[] }[];
}

interface Service extends KubeObject {
  spec?: {
    type?: string;
    externalName?: string;
    ports?: { name?: string; port: number; targetPort?: number | string }[];
  };
}

/** Posts reviews to webhooks over HTTPS, as kube-apiserver does, and reads what they answer. */
export class WebhookClient {
  readonly #store: ObjectStore;
  readonly #agents = new Map<string, Agent>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /**
   * Returns the answer as JSON.
   *
   * @throws WebhookFailure, and the signal's reason when the request itself was given up
   */
  async post({ webhook }: ConfiguredWebhook, review: object, signal: AbortSignal): Promise<unknown> {
    const seconds = webhook.timeoutSeconds ?? DEFAULT_SECONDS;
    const place = this.#placeOf(webhook, `timeout=${seconds}s`);
    const { origin, pathname, search, host } = place.url;
    const shown = `Post ${goQuote(place.shown)}`;
    const call = (why: string, cause?: unknown): Error =>
      webhookFailure('CALL', webhook.name, `failed to call webhook: ${why}`, { cause });
    const timeout = AbortSignal.timeout(seconds * 1000);
    let text: string;
    let status: number;
    try {
      const answer = await this.#agentOf(webhook, place).request({
        origin,
        path: `${pathname}${search}`,
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, */*' },
        body: JSON.stringify(review),
        signal: AbortSignal.any([signal, timeout]),
      });
      status = answer.statusCode;
      text = await readAnswer(answer.body);
    } catch (error) {
      signal.throwIfAborted();
      if (timeout.aborted) throw call(`${shown}: context deadline exceeded`, error);
      if (error instanceof RangeError) throw call(error.message, error);
      throw call(`${shown}: ${describeDialFailure(error, host, HTTPS).text}`, error);
    }
    if (status < 200 || status > 299) throw call(statusText(status, text));
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw call(`couldn't get version/kind; json parse error: ${messageOf(error)}`, error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
  }

  #placeOf({ name, clientConfig }: Webhook, query: string): Place {
    const { url, service } = clientConfig;
    if (url !== undefined) return { url: new URL(`${url}?${query}`), shown: `${url}?${query}` };
    const { namespace = '', name: serviceName = '', path = '/', port = HTTPS } = service ?? {};
    const shown = `https://${serviceName}.${namespace}.svc:${port}${path}?${query}`;
    const dial = this.#dial(name, namespace, serviceName, port, shown);
    const address = new URL(shown);
    address.port = String(dial.port);
    return { url: address, shown, dial };
  }

  /** There is no network of Services here: what a Service's Endpoints name is dialled directly. */
  #dial(
    webhook: string,
    namespace: string,
    name: string,
    port: number,
    shown: string,
  ): { host: string; port: number } {
    const fail = (why: string): Error =>
      webhookFailure('CALL', webhook, `failed to call webhook: Post ${goQuote(shown)}: ${why}`);
    const key = { namespace, name };
    const service: Service | undefined = this.#store.get({ resource: 'services', ...key })?.object;
    if (service === undefined) throw fail(`service ${goQuote(name)} not found`);
    const chosen = service.spec?.ports?.find((candidate) => candidate.port === port);
    if (service.spec?.type === 'ExternalName') return { host: service.spec.externalName ?? '', port };
    if (chosen === undefined) throw fail(`no service port ${port} found for service ${goQuote(name)}`);
    const endpoints: Endpoints | undefined = this.#store.get({ resource: 'endpoints', ...key })?.object;
    const subset = endpoints?.subsets?.find(({ addresses = [] }) => addresses.length > 0);
    const target = subset?.addresses?.[0]?.ip;
    if (target === undefined) throw fail(`no endpoints available for service ${goQuote(name)}`);
    const named = subset?.ports?.find((candidate) => (candidate.name ?? '') === (chosen.name ?? ''));
    return { host: target, port: named?.port ?? (Number(chosen.targetPort) || port) };
  }

  #agentOf({ clientConfig }: Webhook, { dial }: Place): Agent {
    const key = JSON.stringify([clientConfig.caBundle ?? '', dial ?? null, clientConfig.service ?? null]);
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const ca = clientConfig.caBundle;
      agent = newAgent({
        // The review's own time-out ends a call.
        headersTimeout: 0,
        bodyTimeout: 0,
        connect: {
          ...(ca === undefined || ca === '' ? {} : { ca: certificatesIn(ca) }),
          // The name stays that of the Service, which is what its certificate is for.
          ...(dial === undefined
            ? {}
            : { lookup: (_name, options, done) => lookup(dial.host, options, done) }),
        },
      });
      const [oldest] = this.#agents;
      if (oldest !== undefined && this.#agents.size >= MAX_AGENTS) {
        this.#agents.delete(oldest[0]);
        void oldest[1].close();
      }
      this.#agents.set(key, agent);
    }
    return agent;
  }
}

/** Returns the certificates that can be read; one that cannot makes the bundle trust nobody. */
function certificatesIn(caBundle: string): string[] {
  const text = Buffer.from(caBundle, 'base64').toString();
  const found = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return found.filter((pem) => {
    try {
      return new X509Certificate(pem).raw.length > 0;
    } catch {
      return false;
    }
  });
}

async function readAnswer(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER) throw new RangeError(`the answer is longer than ${MAX_ANSWER} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Says what a client of the API says of an answer that is not one. */
function statusText(status: number, text: string): string {
  if (status === 404) return 'the server could not find the requested resource';
  if (status === 401) return 'the server has asked for the client to provide credentials';
  if (status === 405) return 'the server does not allow this method on the requested resource';
  if (status === 429) return 'the server has received too many requests and has asked us to try again later';
  if (status === 503) return 'the server is currently unable to handle the request';
  if (status >= 500) {
    const said = text.trim().slice(0, 2048);
    return `an error on the server (${goQuote(said === '' ? 'unknown' : said)}) has prevented the request from succeeding`;
  }
  return 'the server rejected our request for an unknown reason';
}
