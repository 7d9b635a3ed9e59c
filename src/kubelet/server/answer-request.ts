import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../base/coded-error.ts';
import type { Logger } from '../../observe/logger.ts';
import { plainText, sendAnswer, type EndpointAnswer } from './endpoint-answer.ts';

/** Makes the answer to a request for one thing. */
export type EndpointRoute = (signal: AbortSignal) => Promise<EndpointAnswer>;

/** Where a request goes. */
export interface EndpointTarget {
  readonly path: string;
  readonly query: URLSearchParams;
}

/**
 * Answers one request for something to read: with what `find` has for its address, or with a refusal. What breaks is logged, and told
 * without its reason.
 *
 * @param find undefined for what is not there; an answer instead of a route refuses
 */
export async function answerRequest(
  request: IncomingMessage,
  response: ServerResponse,
  find: (target: EndpointTarget) => EndpointRoute | EndpointAnswer | undefined,
  { logger, closing }: { readonly logger: Logger; readonly closing: AbortSignal },
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new Error('the client is gone')));
  const signal = AbortSignal.any([closing, gone.signal]);
  const headOnly = request.method === 'HEAD';
  const [, path = '', query = ''] = /^([^?]*)\??(.*)$/.exec(request.url ?? '') ?? [];
  try {
    const found = find({ path, query: new URLSearchParams(query) }) ?? plainText(404, '404 page not found\n');
    await sendAnswer(response, await answerOf(found, request.method, signal), headOnly);
  } catch (error) {
    if (!signal.aborted) logger.warn({ error: messageOf(error) }, 'a request to the node failed');
    if (signal.aborted || response.headersSent) response.destroy();
    else await sendAnswer(response, plainText(500, 'Internal Server Error\n'), headOnly);
  }
}

async function answerOf(
  found: EndpointRoute | EndpointAnswer,
  method: string | undefined,
  signal: AbortSignal,
): Promise<EndpointAnswer> {
  if (typeof found !== 'function') return found;
  if (method !== 'GET' && method !== 'HEAD') return plainText(405, 'Method Not Allowed\n');
  return await found(signal);
}
