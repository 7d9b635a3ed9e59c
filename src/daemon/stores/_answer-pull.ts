import type { ServerResponse } from 'node:http';
import type { NodeStores } from '../node-stores.ts';
import { createHostResolver } from '../../remote/hosts/create-host-resolver.ts';
import { createRemoteClient } from '../../remote/remote-client.ts';
import { startLines } from './_messages.ts';
import type { Session } from './_session.ts';
import type { PullAsk, PullLine } from './store-calls.ts';
import { toWireError } from './wire-error.ts';

/**
 * Pulls for another process: with its trust, its proxies and, asked for one by one, its credentials; on the queue and within the
 * limits of this one.
 */
export async function answerPull(
  stores: NodeStores,
  session: Session,
  ask: unknown,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { reference, platform, hostRoots, insecureRegistries, proxies, bytesPerSecond } = ask as PullAsk;
  const write = startLines(response);
  const send = (line: PullLine): void => write(line);
  const remote = createRemoteClient({
    hosts: createHostResolver({ roots: hostRoots, insecureRegistries }),
    environment: proxies,
    bandwidth: stores.bandwidth.within(bytesPerSecond),
  });
  try {
    const pulled = await stores.puller.pull({
      reference,
      ...(platform === undefined ? {} : { platform }),
      credentials: (host, repository) =>
        session.askCredential((id) => send({ credential: { id, host, repository } })),
      remote,
      onProgress: (progress) => send({ progress }),
      signal,
    });
    send({ answer: pulled });
  } catch (error) {
    send({ error: toWireError(error) });
  } finally {
    response.end();
    await remote.close();
  }
}
