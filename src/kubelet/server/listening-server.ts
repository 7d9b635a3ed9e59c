import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of HTTP that listens. */
export interface ListeningServer {
  readonly port: number;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Lets a server listen; port 0 takes a free one. @param closing called when it is to end, before connections do */
export async function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
  closing: () => void,
): Promise<ListeningServer> {
  server.listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      closing();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
