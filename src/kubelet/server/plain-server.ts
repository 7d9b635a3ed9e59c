import { http } from '../../base/node-http.ts';
import type { Logger } from '../../observe/logger.ts';
import { answerRequest, type EndpointRoute } from './answer-request.ts';
import { listen, type ListeningServer } from './listening-server.ts';
import type { PlainPort } from './plain-ports.ts';
import { tellingRoute, type NodeTale } from './telling-routes.ts';

/** Tells of a node in plain HTTP, to everybody: nothing that a stranger must not know. */
export async function startPlainServer(
  { host, port, serves }: PlainPort,
  tale: NodeTale,
  logger: Logger,
): Promise<ListeningServer> {
  const closing = new AbortController();
  const route = (path: string): EndpointRoute | undefined =>
    serves === 'numbers' || path === '/healthz' ? tellingRoute(tale, path) : undefined;
  const server = http.createServer((request, response) => {
    void answerRequest(request, response, ({ path }) => route(path), { logger, closing: closing.signal });
  });
  return await listen(server, { host, port }, () => closing.abort(new Error('the node agent stops')));
}
