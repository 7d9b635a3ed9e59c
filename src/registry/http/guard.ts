import { formatScopes, grants, type Access } from '../identity/access.ts';
import type { Rights } from '../identity/rights.ts';
import { RegistryError } from '../registry-error.ts';
import type { Caller } from './caller.ts';
import type { RegistryRequest } from './request-target.ts';

/** Says what a request needs: `access` must be had, `scopes` is what a challenge tells the client to ask for. */
export interface Needs {
  readonly access: readonly { readonly type: string; readonly name: string; readonly action: string }[];
  readonly scopes: readonly Access[];
}

/** Returns what a request needs. A mount also asks for its source, but does not need it: without, it is an upload. */
export function needsOf(request: RegistryRequest): Needs {
  switch (request.kind) {
    case 'ping':
      return { access: [], scopes: [] };
    case 'catalog':
      return needs('registry', 'catalog', '*', ['*']);
    case 'tags':
    case 'referrers':
    case 'getManifest':
    case 'getBlob':
      return needs('repository', request.repository, 'pull', ['pull']);
    case 'deleteManifest':
    case 'deleteBlob':
      return needs('repository', request.repository, 'delete', ['delete']);
    case 'putManifest':
    case 'startUpload':
    case 'pushBlob':
    case 'uploadStatus':
    case 'appendUpload':
    case 'finishUpload':
    case 'cancelUpload':
      return needs('repository', request.repository, 'push', ['pull', 'push']);
    case 'mountBlob': {
      const { access, scopes } = needs('repository', request.repository, 'push', ['pull', 'push']);
      if (request.from === undefined) return { access, scopes };
      return { access, scopes: [...scopes, { type: 'repository', name: request.from, actions: ['pull'] }] };
    }
  }
}

function needs(type: string, name: string, action: string, actions: readonly string[]): Needs {
  return { access: [{ type, name, action }], scopes: [{ type, name, actions }] };
}

export interface ChallengeParts {
  /** Absolute URL of the token service. */
  readonly realm: string;
  readonly service: string;
}

/** Prints a `WWW-Authenticate` value. */
export function challengeOf(parts: ChallengeParts, scopes: readonly Access[], error?: string): string {
  const scope = scopes.length === 0 ? '' : `,scope="${formatScopes(scopes)}"`;
  const reason = error === undefined ? '' : `,error="${error}"`;
  return `Bearer realm="${parts.realm}",service="${parts.service}"${scope}${reason}`;
}

/** Tells whether a caller may pull from a repository. */
export async function mayPull(rights: Rights, caller: Caller, repository: string): Promise<boolean> {
  if (caller.via === 'token') return grants(caller.access, 'repository', repository, 'pull');
  return (await rights.actionsOn(caller.identity, repository)).has('pull');
}

/**
 * Lets a request pass or says what it lacks. The same is said of repositories that are not there, so that nothing can be
 * learnt of those that one may not see.
 *
 * @throws RegistryError `UNAUTHORIZED` with a challenge; `DENIED` to a password that is right but has not the right
 */
export async function guard(
  request: RegistryRequest,
  caller: Caller,
  rights: Rights,
  challenge: ChallengeParts,
): Promise<void> {
  const { access, scopes } = needsOf(request);
  if (request.kind === 'ping' && caller.via === 'nothing') throw unauthorized('authentication required');
  for (const { type, name, action } of access) {
    if (await has(caller, rights, type, name, action)) continue;
    if (caller.via === 'password') {
      throw new RegistryError('DENIED', 'requested access to the resource is denied', { detail: scopes });
    }
    throw unauthorized('authentication required', caller.via === 'token' ? 'insufficient_scope' : undefined);
  }

  function unauthorized(message: string, error?: string): RegistryError {
    return new RegistryError('UNAUTHORIZED', message, {
      headers: { 'WWW-Authenticate': challengeOf(challenge, scopes, error) },
      ...(scopes.length === 0 ? {} : { detail: scopes }),
    });
  }
}

async function has(
  caller: Caller,
  rights: Rights,
  type: string,
  name: string,
  action: string,
): Promise<boolean> {
  if (caller.via === 'token') return grants(caller.access, type, name, action);
  if (type === 'registry') return caller.via === 'password';
  const actions: ReadonlySet<string> = await rights.actionsOn(caller.identity, name);
  return actions.has(action);
}
