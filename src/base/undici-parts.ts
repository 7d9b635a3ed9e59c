import { createRequire } from 'node:module';
import type {
  Agent as AgentClass,
  buildConnector as connect,
  Dispatcher,
  ProxyAgent as ProxyClass,
} from 'undici';

/*
 * The parts of undici that send requests, without those that do not: its whole takes some 40 ms to load, which every command at a
 * terminal would wait for, and some 3 MB of every server. Its version is pinned; the tests of the folders that use this go through
 * all that is loaded here.
 */

const load = createRequire(import.meta.url);

export const Agent = load('undici/lib/dispatcher/agent.js') as typeof AgentClass;
export type Agent = AgentClass;
export const buildConnector = load('undici/lib/core/connect.js') as typeof connect;

// As undici's entry does: what dispatchers send is made by functions that are added to all of them.
const { prototype } = load('undici/lib/dispatcher/dispatcher.js') as { readonly prototype: Dispatcher };
Object.assign(prototype, load('undici/lib/api/index.js'));

/** Loads what only machines behind a proxy need. */
export function proxyAgent(options: ProxyClass.Options): Dispatcher {
  const ProxyAgent = load('undici/lib/dispatcher/proxy-agent.js') as typeof ProxyClass;
  return new ProxyAgent(options);
}
