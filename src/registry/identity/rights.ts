import type { ProjectIndex } from '../metadata/identity-index.ts';
import { isRepositoryName } from '../repository-name.ts';
import { ACTIONS, type Access, type Action } from './access.ts';
import { actionsOfRole, projectCandidates, type Identity } from './identity.ts';

/** Decides what an identity may do. */
export interface Rights {
  actionsOn(identity: Identity, repository: string): Promise<ReadonlySet<Action>>;
}

/** Lets everybody do everything: for a registry that nobody else can reach. */
export const openRights: Rights = {
  actionsOn: async () => new Set(ACTIONS),
};

/**
 * Decides by projects. A role counts in its project and in those below it; whether anybody may pull is said by the
 * nearest project alone, so that a private project can lie within a public one.
 */
export class ProjectRights implements Rights {
  readonly #projects: ProjectIndex;

  constructor(projects: ProjectIndex) {
    this.#projects = projects;
  }

  async actionsOn(identity: Identity, repository: string): Promise<ReadonlySet<Action>> {
    if (identity.admin) return new Set(ACTIONS);
    const candidates = projectCandidates(repository);
    const known = await this.#projects.findProjects(candidates);
    const nearest = candidates.find((name) => known.some((project) => project.name === name));
    const actions = new Set<Action>();
    if (known.some((project) => project.name === nearest && project.public)) actions.add('pull');
    for (const { project, role } of identity.grants) {
      if (candidates.includes(project)) for (const action of actionsOfRole(role)) actions.add(action);
    }
    if (identity.account !== '') {
      for (const { role } of await this.#projects.rolesOf(identity.account, candidates)) {
        for (const action of actionsOfRole(role)) actions.add(action);
      }
    }
    return actions;
  }
}

/**
 * Returns the part of `asked` that an identity has. Actions that nobody knows, and resources that are no repositories of
 * this registry, are left out without an error: what is missing shows when the token is used.
 */
export async function grantedPart(
  rights: Rights,
  identity: Identity,
  asked: readonly Access[],
): Promise<Access[]> {
  const granted: Access[] = [];
  for (const { type, name, actions } of asked) {
    if (type === 'registry' && name === 'catalog' && identity.kind !== 'anonymous') {
      // The catalog shows each caller only what it may pull.
      if (actions.includes('*')) granted.push({ type, name, actions: ['*'] });
    } else if (/^repository(?:\([a-z0-9]+\))?$/.test(type) && isRepositoryName(name)) {
      const had = await rights.actionsOn(identity, name);
      const part = ACTIONS.filter(
        (action) => had.has(action) && (actions.includes(action) || actions.includes('*')),
      );
      const all: string[] = actions.includes('*') && part.length === ACTIONS.length ? [...part, '*'] : part;
      if (all.length > 0) granted.push({ type, name, actions: all });
    }
  }
  return granted;
}
