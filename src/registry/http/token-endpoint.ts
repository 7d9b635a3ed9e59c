import type { IncomingMessage } from 'node:http';
import type { TokenRequest, TokenService } from '../identity/token-service.ts';
import { RegistryError, registryErrorFrom } from '../registry-error.ts';
import { errorAnswer, jsonAnswer, type Answer } from './answer.ts';
import { printableAccount, readAuthorization } from './caller.ts';
import { readBounded } from './read-bounded.ts';
import type { RequestTrail } from './request-trail.ts';

/** Longest form: a password may be a token of a few KiB, and scopes add up. */
const FORM_LIMIT = 64 * 1024;
/** Tokens are secrets. */
const NO_STORE = { 'Cache-Control': 'no-store' };

/**
 * Answers both shapes of token requests: GET with Basic, and POST of a form with `grant_type` `password` or
 * `refresh_token`. Notes on the trail whose password it was, or claimed to be.
 */
export async function answerTokenRequest(
  service: TokenService,
  message: IncomingMessage,
  query: URLSearchParams,
  trail: Pick<RequestTrail, 'address' | 'account'>,
): Promise<Answer> {
  try {
    const { address } = trail;
    const request =
      message.method === 'POST' ? await readForm(message, address) : readQuery(message, query, address);
    if (request.credential.kind === 'password') trail.account = printableAccount(request.credential.account);
    return jsonAnswer(200, await service.exchange(request), NO_STORE);
  } catch (error) {
    const known = registryErrorFrom(error);
    if (known.code !== 'UNAUTHORIZED') return errorAnswer(error);
    const { status, headers, body } = errorAnswer(error);
    const challenge = { 'WWW-Authenticate': 'Basic realm="registry"', ...NO_STORE };
    return { status, headers: { ...headers, ...challenge }, ...(body === undefined ? {} : { body }) };
  }
}

function readQuery(message: IncomingMessage, query: URLSearchParams, address: string): TokenRequest {
  const credential = readAuthorization(message.headers.authorization);
  if (credential.kind === 'bearer') {
    throw new RegistryError('UNAUTHORIZED', 'a token is had with a password, not with another token');
  }
  return {
    credential,
    scopes: query.getAll('scope'),
    offline: query.get('offline_token') === 'true',
    address,
  };
}

async function readForm(message: IncomingMessage, address: string): Promise<TokenRequest> {
  const form = new URLSearchParams((await readBounded(message, FORM_LIMIT)).toString('utf8'));
  return {
    credential: formCredential(form),
    scopes: form.getAll('scope'),
    offline: form.get('access_type') === 'offline',
    address,
  };
}

function formCredential(form: URLSearchParams): TokenRequest['credential'] {
  switch (form.get('grant_type') ?? '') {
    case 'password':
      return { kind: 'password', account: form.get('username') ?? '', password: form.get('password') ?? '' };
    case 'refresh_token':
      return { kind: 'refresh', token: form.get('refresh_token') ?? '' };
    default:
      throw new RegistryError('UNSUPPORTED', 'grant_type is neither password nor refresh_token', {
        status: 400,
      });
  }
}
