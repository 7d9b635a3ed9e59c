import { CredentialError } from '../../credential-error.ts';
import { answerObject, answerText, cloudRequest, type CloudContext } from '../cloud-request.ts';

const TIMEOUT_MS = 60_000;
const ATTEMPTS = 3;

/**
 * Exchanges a directory token for the registry's own refresh token (rule 10.16): the registry's challenge names the token
 * service, which must belong to the registry, since it is sent the directory token.
 *
 * @throws CredentialError `CLOUD_REFUSED`
 */
export async function exchangeForRegistryToken(
  context: CloudContext,
  server: string,
  directoryToken: string,
  tenant: string,
): Promise<string> {
  const challenge = await readChallenge(context, server);
  const realm = new URL(challenge.realm);
  const body = new URLSearchParams({
    grant_type: 'access_token_refresh_token',
    service: challenge.service,
    tenant,
    access_token: directoryToken,
    refresh_token: directoryToken,
  });
  const answer = await cloudRequest(context, `${realm.protocol}//${realm.host}/oauth2/exchange`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: body.toString(),
    timeoutMs: TIMEOUT_MS,
    attempts: ATTEMPTS,
  });
  const token = answerText(answerObject(answer.text), 'refresh_token');
  if (answer.status !== 200 || token === undefined) {
    throw refuse(
      server,
      `the exchange answers ${answer.status}${token === undefined ? ' without refresh_token' : ''}`,
    );
  }
  return token;
}

async function readChallenge(
  context: CloudContext,
  server: string,
): Promise<{ realm: string; service: string }> {
  const answer = await cloudRequest(context, `https://${server}/v2/`, {
    timeoutMs: TIMEOUT_MS,
    attempts: ATTEMPTS,
  });
  if (answer.status !== 401) throw refuse(server, `/v2/ answers ${answer.status}, expected 401`);
  const header = answer.headers.get('www-authenticate') ?? '';
  const scheme = /^\s*(\w+)\s/.exec(header)?.[1] ?? '';
  if (scheme.toLowerCase() !== 'bearer' || /,\s*(?:basic|bearer)\s/i.test(header)) {
    throw refuse(server, 'the challenge is not a single Bearer one');
  }
  const parameters = new Map(
    [...header.matchAll(/\b(\w+)="([^"]*)"/g)].map((match) => [match[1] ?? '', match[2] ?? '']),
  );
  const realm = parameters.get('realm') ?? '';
  const service = parameters.get('service') ?? '';
  if (realm === '' || service === '') throw refuse(server, 'the challenge lacks realm or service');
  if (
    !URL.canParse(realm) ||
    new URL(realm).protocol !== 'https:' ||
    !belongsTo(new URL(realm).hostname, server)
  ) {
    throw refuse(server, 'the realm of the challenge does not belong to the registry');
  }
  return { realm, service };
}

/** A realm belongs to a registry when it is that host or one under the same domain. */
function belongsTo(host: string, server: string): boolean {
  const registry = server.replace(/:\d+$/, '').toLowerCase();
  const domain = registry.slice(registry.indexOf('.'));
  return host === registry || (domain.split('.').length > 2 && host.endsWith(domain));
}

function refuse(server: string, why: string): CredentialError {
  return new CredentialError('CLOUD_REFUSED', `Cannot exchange a token with "${server}": ${why}`);
}
