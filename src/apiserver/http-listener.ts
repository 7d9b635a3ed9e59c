import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { http, https } from '../base/node-http.ts';
import type { Upgrade } from './pod-sessions.ts';

/** Longer than clients keep idle connections (Go: 90 s), so that none sends a request into a connection being closed. */
const KEEP_ALIVE_MS = 120_000;
/** Node's own limit of 16 KiB is less than a long selector takes; an address may fill half of this. */
const MAX_HEADER_BYTES = 128 * 1024;

/** PEM. `clientCa` signs the certificates of clients. */
export interface ServingCertificate {
  readonly key: string;
  readonly cert: string;
  readonly clientCa: string;
}

/** Serves HTTP on one address, with TLS or without. */
export class HttpListener {
  readonly #server: Server;

  /**
   * @param handle is also given the connection of a client that wants to go on in another protocol; it answers either there or as ever
   * @param tls absent: no TLS
   */
  constructor(
    handle: (request: IncomingMessage, response: ServerResponse, upgrade?: Upgrade) => void,
    tls?: ServingCertificate,
  ) {
    // A whole request may take its time: bodies have a limit of their own, and watches have no body at all.
    const options = { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0, maxHeaderSize: MAX_HEADER_BYTES };
    this.#server =
      tls === undefined
        ? http.createServer(options, (request, response) => handle(request, response))
        : https.createServer(
            {
              ...options,
              key: tls.key,
              cert: tls.cert,
              ca: tls.clientCa,
              // A certificate is not needed to connect: clients may bring a token, and health checks nothing at all.
              requestCert: true,
              rejectUnauthorized: false,
              minVersion: 'TLSv1.2',
            },
            (request, response) => handle(request, response),
          );
    this.#server.on('upgrade', (request, socket, head) => {
      socket.on('error', () => socket.destroy());
      const response = responseOn(request, socket as Socket);
      handle(request, response, {
        socket,
        head,
        take: () => response.detachSocket(socket as Socket),
      });
    });
  }

  /** Returns the port; `port` 0 takes a free one. */
  async listen(host: string, port: number): Promise<number> {
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** Stops accepting and ends every connection; a client can take up a watch elsewhere where it was. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** Makes a response for a request whose connection the server has let go of; the connection ends with it. */
function responseOn(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new http.ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => {
    response.detachSocket(socket);
    socket.end();
  });
  return response;
}
