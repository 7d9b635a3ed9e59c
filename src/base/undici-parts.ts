import { createRequire } from 'node:module';
import type {
  Agent as AgentClass,
  buildConnector as connect,
  Dispatcher,
  ProxyAgent as ProxyClass,
} from 'undici';

/*
 * The parts of undici that send requests, without those that do not, and not before something is sent: its whole takes some 40 ms to load,
 * which every command at a terminal would wait for, and some 3 MB of every server. Its version is pinned; the tests of the folders that
 * use this go through all that is loaded here.
 */

export type Agent = AgentClass;

const require = createRequire(import.meta.url);
let isComplete = false;

/** Loads a part. As undici's entry does: what dispatchers send is made by functions that are added to all of them. */
function load(part: string): unknown {
  if (!isComplete) {
    const { prototype } = require('undici/lib/dispatcher/dispatcher.js') as {
      readonly prototype: Dispatcher;
    };
    Object.assign(prototype, require('undici/lib/api/index.js'));
    isComplete = true;
  }
  return require(`undici/lib/${part}.js`);
}

/** Makes what keeps connections open, one pool an origin. */
export function newAgent(options: AgentClass.Options): Agent {
  const Class = load('dispatcher/agent') as typeof AgentClass;
  return new Class(options);
}

/** Makes what opens a connection. */
export function newConnector(options: connect.BuildOptions): connect.connector {
  const build = load('core/connect') as typeof connect;
  return build(options);
}

/** Makes an agent that goes by a proxy. */
export function newProxyAgent(options: ProxyClass.Options): Dispatcher {
  const Class = load('dispatcher/proxy-agent') as typeof ProxyClass;
  return new Class(options);
}
