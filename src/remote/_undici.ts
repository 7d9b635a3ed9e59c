import { createRequire } from 'node:module';
import type {
  Agent as AgentClass,
  buildConnector as connect,
  Dispatcher,
  ProxyAgent as ProxyClass,
} from 'undici';

/*
 * The parts of undici that talk to registries, without those that do not, and not before one is talked to: its whole takes some 40 ms to
 * load, which every command at a terminal would wait for. Its version is pinned; the tests of this folder go through all that is loaded here.
 */

type Api = Pick<Dispatcher, 'request' | 'connect'>;

const load = createRequire(import.meta.url);
let loadedApi: Api | undefined;

/** Makes what keeps connections open, one pool an origin. */
export function newAgent(options: AgentClass.Options): Dispatcher {
  const Agent = load('undici/lib/dispatcher/agent.js') as typeof AgentClass;
  return new Agent(options);
}

/** Makes what opens a connection. */
export function newConnector(options: connect.BuildOptions): connect.connector {
  const buildConnector = load('undici/lib/core/connect.js') as typeof connect;
  return buildConnector(options);
}

/** Makes an agent that goes by a proxy. */
export function newProxyAgent(options: ProxyClass.Options): Dispatcher {
  const ProxyAgent = load('undici/lib/dispatcher/proxy-agent.js') as typeof ProxyClass;
  const { prototype } = load('undici/lib/dispatcher/dispatcher.js') as { readonly prototype: Dispatcher };
  // It asks for its tunnels by a method that undici's entry gives to all dispatchers.
  prototype.connect = api().connect;
  return new ProxyAgent(options);
}

/** Sends one request by the given dispatcher. */
export function request(
  url: URL,
  dispatcher: Dispatcher,
  options: Omit<Dispatcher.RequestOptions, 'origin' | 'path'>,
): Promise<Dispatcher.ResponseData> {
  const target = { ...options, origin: url.origin, path: `${url.pathname}${url.search}` };
  return api().request.call(dispatcher, target) as Promise<Dispatcher.ResponseData>;
}

function api(): Api {
  loadedApi ??= load('undici/lib/api/index.js') as Api;
  return loadedApi;
}
