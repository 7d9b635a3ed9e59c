import { createRequire } from 'node:module';
import type {
  Agent as AgentClass,
  buildConnector as connect,
  Dispatcher,
  ProxyAgent as ProxyClass,
} from 'undici';

/*
 * The parts of undici that talk to registries, without those that do not: its whole takes some 40 ms to load, which every command
 * at a terminal would wait for. Its version is pinned; the tests of this folder go through all that is loaded here.
 */

const load = createRequire(import.meta.url);

export const Agent = load('undici/lib/dispatcher/agent.js') as typeof AgentClass;
export const buildConnector = load('undici/lib/core/connect.js') as typeof connect;

const api = load('undici/lib/api/index.js') as Pick<Dispatcher, 'request' | 'connect'>;

/** Loads what only machines behind a proxy need. */
export function proxyAgent(options: ProxyClass.Options): Dispatcher {
  const ProxyAgent = load('undici/lib/dispatcher/proxy-agent.js') as typeof ProxyClass;
  const Dispatcher = load('undici/lib/dispatcher/dispatcher.js') as { readonly prototype: Dispatcher };
  // It asks for its tunnels by a method that undici's entry gives to all dispatchers.
  Dispatcher.prototype.connect = api.connect;
  return new ProxyAgent(options);
}

/** Sends one request by the given dispatcher. */
export function request(
  url: URL,
  dispatcher: Dispatcher,
  options: Omit<Dispatcher.RequestOptions, 'origin' | 'path'>,
): Promise<Dispatcher.ResponseData> {
  const target = { ...options, origin: url.origin, path: `${url.pathname}${url.search}` };
  return api.request.call(dispatcher, target) as Promise<Dispatcher.ResponseData>;
}
