import { createHash } from 'node:crypto';
import type { Agent as AgentOptions, buildConnector as Connector, Dispatcher } from 'undici';
import { newAgent, newConnector, newProxyAgent } from '../base/undici-parts.ts';
import { proxyFor, type ProxyEnvironment } from './proxy.ts';
import { secureContextFor, type TlsSettings } from './tls-roots.ts';

/** Times a connection may take, in milliseconds (rule 17.3). */
export const CONNECT_LIMITS = {
  dialMs: 30_000,
  tlsHandshakeMs: 10_000,
  responseHeaderMs: 30_000,
  idleMs: 30_000,
} as const;

export type ConnectLimits = { readonly [name in keyof typeof CONNECT_LIMITS]: number };

/** Different TLS settings kept connected at a time; a node talks to a handful of registries. */
const MAX_AGENTS = 64;

/** The longest an unread body may stay silent before its connection is given up. */
const DEFAULT_BODY_SILENCE_MS = 60_000;

/**
 * Keeps connections open between requests, one pool an origin and TLS identity, so that layers, manifests and tokens of one
 * registry share them. Settings that differ in trust never share a connection.
 */
export class Connections {
  readonly #agents = new Map<string, Dispatcher>();
  readonly #environment: ProxyEnvironment;
  readonly #bodySilenceMs: number;
  readonly #limits: ConnectLimits;

  constructor(
    options: {
      environment?: ProxyEnvironment;
      bodySilenceMs?: number;
      limits?: Partial<ConnectLimits>;
    } = {},
  ) {
    this.#limits = { ...CONNECT_LIMITS, ...options.limits };
    this.#environment = options.environment ?? process.env;
    this.#bodySilenceMs = options.bodySilenceMs ?? DEFAULT_BODY_SILENCE_MS;
  }

  /** Returns what carries a request to `url` under the given settings. */
  for(url: URL, tls: TlsSettings, dialTimeoutMs: number | undefined): Dispatcher {
    const proxy = proxyFor(url, this.#environment);
    const key = keyOf(url.protocol === 'https:' ? tls : undefined, dialTimeoutMs, proxy);
    const kept = this.#agents.get(key);
    if (kept !== undefined) {
      this.#agents.delete(key);
      this.#agents.set(key, kept);
      return kept;
    }
    const agent = this.#make(tls, dialTimeoutMs ?? this.#limits.dialMs, proxy);
    this.#agents.set(key, agent);
    this.#evict();
    return agent;
  }

  /** Returns the address of the proxy through which `url` is reached; undefined when there is none between. */
  proxyOf(url: URL): URL | undefined {
    const proxy = proxyFor(url, this.#environment);
    return proxy === undefined ? undefined : (URL.parse(proxy) ?? undefined);
  }

  /** Ends all connections; requests under way fail. */
  async close(): Promise<void> {
    const agents = [...this.#agents.values()];
    this.#agents.clear();
    await Promise.all(agents.map((agent) => agent.destroy()));
  }

  #make(tls: TlsSettings, dialMs: number, proxy: string | undefined): Dispatcher {
    const options: AgentOptions.Options = {
      // One connection with many streams shares one flow-control window: parallel layers would slow each other.
      allowH2: false,
      keepAliveTimeout: this.#limits.idleMs,
      headersTimeout: this.#limits.responseHeaderMs,
      bodyTimeout: this.#bodySilenceMs,
      maxHeaderSize: 64 * 1024,
    };
    // It may hold a password, so it is not quoted.
    if (proxy !== undefined && !URL.canParse(proxy))
      throw new Error('the proxy in HTTP_PROXY or HTTPS_PROXY is no URL');
    if (proxy === undefined)
      return newAgent({ ...options, connect: connectorFor(tls, dialMs, this.#limits.tlsHandshakeMs) });
    return newProxyAgent({
      ...options,
      uri: proxy,
      requestTls: {
        secureContext: secureContextFor(tls),
        rejectUnauthorized: !tls.skipVerify,
        allowH2: false,
        timeout: this.#limits.tlsHandshakeMs,
      },
      // A SOCKS proxy for which there are settings of TLS would be greeted with it.
      ...(/^socks5?:/i.test(proxy)
        ? { connectTimeout: dialMs }
        : { proxyTls: { timeout: dialMs, allowH2: false } }),
    });
  }

  #evict(): void {
    const [oldest] = this.#agents;
    if (this.#agents.size <= MAX_AGENTS || oldest === undefined) return;
    this.#agents.delete(oldest[0]);
    // Closing waits for requests under way; nobody needs to wait for it, and its failure concerns nobody.
    void oldest[1].close().catch(() => undefined);
  }
}

/** Connects in two steps, each with its own time limit and its own error. */
function connectorFor(tls: TlsSettings, dialMs: number, handshakeMs: number): Connector.connector {
  const dial = newConnector({ timeout: dialMs, allowH2: false });
  let secure: Connector.connector | undefined;
  return (options, callback) => {
    if (options.protocol !== 'https:') {
      dial(options, callback);
      return;
    }
    try {
      secure ??= newConnector({
        secureContext: secureContextFor(tls),
        rejectUnauthorized: !tls.skipVerify,
        timeout: handshakeMs,
        allowH2: false,
      });
    } catch (error) {
      callback(error as Error, null);
      return;
    }
    const handshake = secure;
    dial({ ...options, protocol: 'http:', port: options.port || '443' }, (...[error, socket]) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      handshake({ ...options, httpSocket: socket }, (...[failure, secured]) => {
        if (failure === null) callback(null, secured);
        else callback(asHandshakeFailure(failure), null);
      });
    });
  };
}

/** Names the failures that only the handshake can tell apart from those of a connection in use. */
function asHandshakeFailure(failure: Error): Error {
  const code = 'code' in failure ? failure.code : undefined;
  const named: Readonly<Record<string, string>> = {
    UND_ERR_CONNECT_TIMEOUT: 'ERR_TLS_HANDSHAKE_TIMEOUT',
    ECONNRESET: 'ERR_TLS_HANDSHAKE_CLOSED',
    EPIPE: 'ERR_TLS_HANDSHAKE_CLOSED',
  };
  const own = typeof code === 'string' && Object.hasOwn(named, code) ? named[code] : undefined;
  return own === undefined
    ? failure
    : Object.assign(new Error(failure.message, { cause: failure }), { code: own });
}

function keyOf(
  tls: TlsSettings | undefined,
  dialTimeoutMs: number | undefined,
  proxy: string | undefined,
): string {
  return createHash('sha256')
    .update(JSON.stringify([tls?.ca, tls?.clientCertificates, tls?.skipVerify, dialTimeoutMs, proxy]))
    .digest('base64');
}
