import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { messageOf } from '../../base/coded-error.ts';
import type { Pod } from '../../kube/pod.ts';
import type { Logger } from '../../observe/logger.ts';
import { hasSessions, type ContainerSession, type SessionRuntime } from '../../runtime/container-session.ts';
import type { RuntimeService } from '../../runtime/runtime-service.ts';
import { podUid } from '../pod-reference.ts';
import { acceptSpdy, acceptWebSocket, negotiate, refuseUpgrade, type Refusal } from './negotiate.ts';
import { PORT_FORWARD_PROTOCOL, PORT_FORWARD_TUNNEL_PROTOCOL, servePortForward } from './port-forward.ts';
import { serveSession } from './serve-session.ts';
import { parseStreamRequest, type StreamRequest } from './session-request.ts';
import type { SessionStreams } from './session-streams.ts';
import { SPDY_SESSION_PROTOCOLS, spdySession } from './spdy-session.ts';
import { WEBSOCKET_SESSION_PROTOCOLS, websocketSession } from './websocket-session.ts';
import { websocketWire } from './websocket-wire.ts';

type SessionCall = Extract<StreamRequest, { kind: 'exec' | 'attach' }>;

export interface StreamEndpointOptions {
  readonly pod: (namespace: string, name: string) => Pod | undefined;
  readonly runtime: RuntimeService;
  /** Address at which all Pods have their ports. */
  readonly address: string;
  readonly logger: Logger;
}

/** Answers requests for sessions: commands in containers, their first processes, and their ports. */
export class StreamEndpoint {
  readonly #options: StreamEndpointOptions;
  readonly #closing = new AbortController();

  constructor(options: StreamEndpointOptions) {
    this.#options = options;
  }

  /** Takes over a connection whose client wants to speak something other than HTTP. */
  async serve(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    try {
      const wanted = parseStreamRequest(request.url ?? '');
      if (wanted === undefined) refuseUpgrade(socket, { status: 404, message: '404 page not found' });
      else if (typeof wanted === 'string') refuseUpgrade(socket, { status: 400, message: wanted });
      else await this.#serve(wanted, request, socket, head);
    } catch (error) {
      this.#options.logger.info({ error: messageOf(error) }, 'session ended');
      socket.destroy();
    }
  }

  close(): void {
    this.#closing.abort(new Error('the node agent stops'));
  }

  async #serve(wanted: StreamRequest, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const pod = this.#options.pod(wanted.namespace, wanted.pod);
    if (pod === undefined || (wanted.uid !== undefined && wanted.uid !== podUid(pod))) {
      refuseUpgrade(socket, { status: 404, message: 'pod does not exist' });
      return;
    }
    this.#closing.signal.addEventListener('abort', () => socket.destroy(), { once: true });
    if (wanted.kind === 'portForward') await this.#forwardPorts(pod, request, socket, head);
    else await this.#session(wanted, pod, request, socket, head);
  }

  async #forwardPorts(pod: Pod, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const transport = negotiate(request, {
      websocket: [PORT_FORWARD_TUNNEL_PROTOCOL],
      spdy: [PORT_FORWARD_PROTOCOL],
    });
    if (isRefusal(transport)) return refuseUpgrade(socket, transport);
    const target = {
      address: this.#options.address,
      pod: `${pod.metadata.name}_${pod.metadata.namespace ?? ''}, uid : ${podUid(pod)}`,
    };
    if (transport.kind === 'websocket') {
      const websocket = await acceptWebSocket(request, socket, head, transport.protocol);
      return await servePortForward(websocketWire(websocket), Buffer.alloc(0), target);
    }
    acceptSpdy(socket, transport.protocol);
    return await servePortForward(socket, head, target);
  }

  async #session(
    wanted: SessionCall,
    pod: Pod,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const id = await this.#running(pod, wanted.container);
    if (id === undefined) {
      const message = `container not found (${JSON.stringify(wanted.container)})`;
      return refuseUpgrade(socket, { status: 500, message });
    }
    const { runtime } = this.#options;
    if (!hasSessions(runtime)) {
      return refuseUpgrade(socket, { status: 500, message: 'the runtime of this node opens no sessions' });
    }
    const transport = negotiate(request, {
      websocket: WEBSOCKET_SESSION_PROTOCOLS,
      spdy: SPDY_SESSION_PROTOCOLS,
    });
    if (isRefusal(transport)) return refuseUpgrade(socket, transport);
    let streams: SessionStreams;
    if (transport.kind === 'websocket') {
      streams = websocketSession(await acceptWebSocket(request, socket, head, transport.protocol), wanted);
    } else {
      acceptSpdy(socket, transport.protocol);
      streams = await spdySession(socket, head, wanted, transport.protocol);
    }
    const command = wanted.kind === 'exec' ? wanted.command : undefined;
    let session: ContainerSession;
    try {
      session = await this.#open(runtime, id, wanted);
    } catch (error) {
      const doing = command === undefined ? 'attaching to container' : 'executing command in container';
      return await streams.finish({ kind: 'error', message: `error ${doing}: ${messageOf(error)}` });
    }
    return await serveSession(session, streams, command);
  }

  #open(runtime: SessionRuntime, id: string, wanted: SessionCall): Promise<ContainerSession> {
    const { signal } = this.#closing;
    return wanted.kind === 'exec' ? runtime.exec(id, wanted, signal) : runtime.attach(id, wanted, signal);
  }

  async #running(pod: Pod, name: string): Promise<string | undefined> {
    const { signal } = this.#closing;
    const containers = await this.#options.runtime.listContainers({ podUid: podUid(pod) }, signal);
    return containers.find((status) => status.name === name && status.state === 'running')?.id;
  }
}

function isRefusal(value: object): value is Refusal {
  return 'status' in value;
}
