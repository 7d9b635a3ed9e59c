import { ACTIONS, type Action } from './access.ts';

/** What an account may do in a project, each role holding what the one before it holds. */
export type Role = 'guest' | 'developer' | 'maintainer' | 'admin';

/** All roles, least first. */
export const ROLES: readonly Role[] = ['guest', 'developer', 'maintainer', 'admin'];

/** A role in a project; the project `''` is the whole registry. */
export interface Grant {
  readonly project: string;
  readonly role: Role;
}

/** Who a request comes from. */
export interface Identity {
  readonly kind: 'anonymous' | 'user' | 'robot' | 'service-account';
  /** Name for logs and records; empty for nobody. */
  readonly account: string;
  /** May do everything everywhere. */
  readonly admin: boolean;
  /** Roles that come with the credential itself; roles that projects give to the account are looked up. */
  readonly grants: readonly Grant[];
}

/** Nobody in particular. */
export const ANONYMOUS: Identity = { kind: 'anonymous', account: '', admin: false, grants: [] };

const ROLE_ACTIONS: Readonly<Record<Role, readonly Action[]>> = {
  guest: ['pull'],
  developer: ['pull', 'push'],
  maintainer: ACTIONS,
  admin: ACTIONS,
};

/** Returns what a role may do with the repositories of its project. */
export function actionsOfRole(role: Role): readonly Action[] {
  return ROLE_ACTIONS[role];
}

/** Tells whether `text` names a role. */
export function isRole(text: string): text is Role {
  return (ROLES as readonly string[]).includes(text);
}

/**
 * Returns the projects that a repository may lie in, nearest first: its own name, then each shorter path, then `''`.
 */
export function projectCandidates(repository: string): string[] {
  const candidates: string[] = [];
  for (let path = repository; path !== ''; path = path.slice(0, Math.max(path.lastIndexOf('/'), 0))) {
    candidates.push(path);
  }
  return [...candidates, ''];
}
