import type { Credential } from './credential.ts';
import { drain } from './exchange.ts';
import { unexpectedStatus } from './registry-answer.ts';
import type { RemoteClient } from './remote-client.ts';
import { RemoteError } from './remote-error.ts';

/**
 * Asks a registry whether it accepts a credential, as `docker login` does: the API's root with a token for nothing in particular.
 * Nothing but the registry itself is asked, mirrors never.
 *
 * @throws RemoteError `UNAUTHORIZED` when it refuses, or why it could not be asked
 */
export async function checkLogin(
  remote: RemoteClient,
  registry: string,
  credential: Credential,
  signal: AbortSignal,
): Promise<void> {
  const session = remote.repository(registry, '', { credentials: async () => credential });
  const hosts = await session.hosts();
  const own = hosts.findLast((each) => !each.host.mirror) ?? hosts.at(-1);
  if (own === undefined)
    throw new RemoteError(
      'HOST_CONFIG',
      `Cannot log in to ${JSON.stringify(registry)}: its configuration names no host`,
    );
  const { scheme, host, path } = own.host;
  const answer = await session.send(
    own,
    { method: 'GET', path: `${scheme}://${host}${path}/`, scopes: [] },
    true,
    signal,
  );
  if (answer.status >= 200 && answer.status < 300) {
    await drain(answer);
    return;
  }
  throw await unexpectedStatus(answer);
}
