import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { ApiCall, ApiContext } from './api-call.ts';
import type { HttpResponder } from './http-responder.ts';
import type { KubeletProxy } from './pod-log.ts';

/** Answers `GET pods/NAME/log` by passing on what the node sends, as it comes. */
export async function streamLog(
  context: ApiContext & { readonly kubelets: KubeletProxy },
  call: ApiCall,
  responder: HttpResponder,
  response: ServerResponse,
): Promise<void> {
  const log = await context.kubelets.openLog(context, call);
  if (log === undefined) {
    await responder.path({ body: '', contentType: 'text/plain' });
    return;
  }
  responder.head('text/plain');
  try {
    await pipeline(log, response);
  } catch (error) {
    // A client that stops following closes the connection; that is no failure.
    if (!call.signal.aborted) throw error;
  }
}
