/*
 * scope    := resource-scope [" " resource-scope]*
 * resource := type ["(" class ")"] ":" name ":" action ["," action]*
 *
 * A name may hold colons of its own (a host with a port in front), so the last colon ends it.
 */

/** What may be done with a repository. */
export type Action = 'pull' | 'push' | 'delete';

/** Every action, in the order in which they are written. */
export const ACTIONS: readonly Action[] = ['pull', 'push', 'delete'];

/** Access to one resource, as asked for and as granted. */
export interface Access {
  readonly type: string;
  readonly name: string;
  /** Actions as text: clients ask for `*` and for actions that nobody knows. */
  readonly actions: readonly string[];
}

/** Resource scopes read from one request; containerd asks for a handful, so more is an attempt at something. */
const SCOPE_LIMIT = 100;

/** Reads `scope` parameters: several, each with several scopes, repeated and in any order. What does not parse is left out. */
export function parseScopes(scopes: readonly string[]): Access[] {
  const merged = new Map<string, { type: string; name: string; actions: Set<string> }>();
  for (const text of scopes.flatMap((scope) => scope.split(' ')).slice(0, SCOPE_LIMIT)) {
    const match = /^([a-z0-9]+(?:\([a-z0-9]+\))?):(.+):([a-z*,]*)$/i.exec(text);
    if (match === null) continue;
    const [, type = '', name = '', actions = ''] = match;
    const key = `${type}:${name}`;
    const access = merged.get(key) ?? { type, name, actions: new Set<string>() };
    for (const action of actions.split(',')) if (action !== '') access.actions.add(action);
    merged.set(key, access);
  }
  return [...merged.values()].map((access) => ({ ...access, actions: [...access.actions] }));
}

/** Prints accesses as one `scope` value. */
export function formatScopes(accesses: readonly Access[]): string {
  return accesses.map(({ type, name, actions }) => `${type}:${name}:${actions.join(',')}`).join(' ');
}

/** Tells whether `granted` holds one action on one resource. */
export function grants(granted: readonly Access[], type: string, name: string, action: string): boolean {
  return granted.some(
    (access) =>
      access.type === type &&
      access.name === name &&
      (access.actions.includes(action) || access.actions.includes('*')),
  );
}
