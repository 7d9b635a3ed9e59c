import { projectCandidates } from './identity/identity.ts';
import type { ProjectIndex } from './metadata/identity-index.ts';
import { NO_POLICY, type Policy } from './policy.ts';

/** A repository's project and what it decided. */
export interface GoverningProject {
  /** Undefined for a repository outside of all projects. */
  readonly name: string | undefined;
  readonly policy: Policy;
}

/** Finds the project that governs a repository: the nearest one. */
export async function governingProject(
  projects: Pick<ProjectIndex, 'findProjects'>,
  repository: string,
): Promise<GoverningProject> {
  const candidates = projectCandidates(repository);
  const known = await projects.findProjects(candidates);
  for (const name of candidates) {
    const project = known.find((one) => one.name === name);
    if (project !== undefined) return { name, policy: project.policy };
  }
  return { name: undefined, policy: NO_POLICY };
}
