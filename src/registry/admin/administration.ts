import type { Clock } from '../../base/clock.ts';
import { hashPassword } from '../identity/password.ts';
import type { Role } from '../identity/identity.ts';
import type { AuditEntry, AuditFilter } from '../metadata/audit-log.ts';
import type { ProjectRecord } from '../metadata/identity-index.ts';
import type { Metadata } from '../metadata/metadata.ts';
import { isRepositoryName } from '../repository-name.ts';
import { NO_POLICY, type PolicyInput } from '../policy.ts';
import { AdminError } from './admin-error.ts';

/** Names that need no quoting in shells and YAML, and cannot be taken for a robot or a service account. */
const USER_NAME = /^(?!robot\.)[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?$/i;
/** Shortest password. @see NIST SP 800-63B section 5.1.1 */
const PASSWORD_LENGTH = 8;

/** Audit entries shown when nobody says how many. */
const AUDIT_PAGE = 100;

/** Repositories read at a time. */
const REPOSITORY_PAGE = 1_000;

/** A user as shown to people. */
export interface User {
  readonly name: string;
  readonly admin: boolean;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** Manages users, projects and roles, on a registry that serves or that does not. */
export class Administration {
  readonly #metadata: Metadata;
  readonly #clock: Clock;

  constructor(metadata: Metadata, clock: Clock) {
    this.#metadata = metadata;
    this.#clock = clock;
  }

  /** @throws AdminError `BAD_NAME`, `BAD_PASSWORD`, `EXISTS` */
  async addUser(name: string, password: string, options: { admin?: boolean } = {}): Promise<void> {
    if (!USER_NAME.test(name)) throw new AdminError('BAD_NAME', `Cannot add user "${name}": not a user name`);
    const user = {
      name,
      passwordHash: await hashed(password),
      admin: options.admin ?? false,
      createdAt: this.#clock.now(),
    };
    if (!(await this.#metadata.users.createUser(user))) {
      throw new AdminError('EXISTS', `Cannot add user "${name}": it exists`);
    }
    await this.#audit('user.create', name);
  }

  /** Changes a password and ends the user's refresh tokens. @throws AdminError `BAD_PASSWORD`, `NOT_FOUND` */
  async setPassword(name: string, password: string): Promise<void> {
    const passwordHash = await hashed(password);
    if (!(await this.#metadata.users.updateUser(name, { passwordHash }))) throw unknown('user', name);
    await this.#audit('user.password', name);
  }

  /** Makes a user an administrator of the whole registry, or an ordinary one. @throws AdminError `NOT_FOUND` */
  async setAdmin(name: string, admin: boolean): Promise<void> {
    if (!(await this.#metadata.users.updateUser(name, { admin }))) throw unknown('user', name);
    await this.#audit('user.admin', `${name} ${admin ? 'on' : 'off'}`);
  }

  /** @throws AdminError `NOT_FOUND` */
  async removeUser(name: string): Promise<void> {
    if (!(await this.#metadata.users.deleteUser(name))) throw unknown('user', name);
    await this.#audit('user.delete', name);
  }

  async listUsers(): Promise<User[]> {
    const users = await this.#metadata.users.listUsers();
    return users.map(({ name, admin, createdAt }) => ({ name, admin, createdAt }));
  }

  /** Creates a project: all repositories at or below `name`. @throws AdminError `BAD_NAME`, `EXISTS` */
  async createProject(name: string, options: { public?: boolean } = {}): Promise<void> {
    if (!isRepositoryName(name)) {
      throw new AdminError('BAD_NAME', `Cannot create project "${name}": not a repository path`);
    }
    const project = {
      name,
      public: options.public ?? false,
      policy: NO_POLICY,
      createdAt: this.#clock.now(),
    };
    if (!(await this.#metadata.projects.createProject(project))) {
      throw new AdminError('EXISTS', `Cannot create project "${name}": it exists`);
    }
    await this.#audit('project.create', name);
  }

  /** Lets everybody pull from a project, or only its members. @throws AdminError `NOT_FOUND` */
  async setPublic(name: string, isPublic: boolean): Promise<void> {
    if (!(await this.#metadata.projects.updateProject(name, { public: isPublic })))
      throw unknown('project', name);
    await this.#audit(isPublic ? 'project.public' : 'project.private', name);
  }

  /**
   * Decides about a project's content in place of what was decided before.
   *
   * @throws AdminError `BAD_POLICY`, `NOT_FOUND`
   */
  async setPolicy(name: string, input: PolicyInput): Promise<void> {
    const [{ policySchema }, { z }] = await Promise.all([import('../policy-schema.ts'), import('zod')]);
    const parsed = policySchema.safeParse(input);
    if (!parsed.success) {
      throw new AdminError(
        'BAD_POLICY',
        `Cannot set the policy of "${name}": ${z.prettifyError(parsed.error)}`,
      );
    }
    const change = { policy: parsed.data };
    if (!(await this.#metadata.projects.updateProject(name, change))) throw unknown('project', name);
    await this.#audit('project.policy', name);
  }

  /** Removes a project with its roles; its repositories stay and only administrators reach them. @throws AdminError `NOT_FOUND` */
  async removeProject(name: string): Promise<void> {
    if (!(await this.#metadata.projects.deleteProject(name))) throw unknown('project', name);
    await this.#audit('project.delete', name);
  }

  async listProjects(): Promise<ProjectRecord[]> {
    return this.#metadata.projects.listProjects();
  }

  /** Gives an account a role in a project in place of the one it had. @throws AdminError `NOT_FOUND` */
  async grantRole(project: string, account: string, role: Role): Promise<void> {
    if (!(await this.#metadata.projects.setRole(project, account, role))) throw unknown('project', project);
    await this.#audit('role.grant', `${project} ${account} ${role}`);
  }

  /** @throws AdminError `NOT_FOUND` */
  async revokeRole(project: string, account: string): Promise<void> {
    if (!(await this.#metadata.projects.setRole(project, account, undefined)))
      throw unknown('project', project);
    await this.#audit('role.revoke', `${project} ${account}`);
  }

  async listMembers(project: string): Promise<{ account: string; role: Role }[]> {
    return this.#metadata.projects.membersOf(project);
  }

  /** Returns what was changed and who was refused, newest first. */
  async listAudit(filter: AuditFilter = {}, limit = AUDIT_PAGE): Promise<AuditEntry[]> {
    return this.#metadata.audit.list(filter, limit);
  }

  /** Lists the repositories that have a manifest. */
  async listRepositories(): Promise<string[]> {
    const names: string[] = [];
    for (let page = ['']; page.length > 0;) {
      page = await this.#metadata.listing.listRepositories(names.at(-1) ?? '', REPOSITORY_PAGE);
      names.push(...page);
    }
    return names;
  }

  /** Removes a repository with its tags, manifests and links. @throws AdminError `NOT_FOUND` */
  async removeRepository(name: string): Promise<void> {
    if (!(await this.#metadata.manifests.deleteRepository(name))) throw unknown('repository', name);
    await this.#audit('repository.delete', name);
  }

  async #audit(action: string, target: string): Promise<void> {
    const at = this.#clock.now();
    const entry = { at, account: 'local', address: '', action, target, outcome: 'done' as const };
    await this.#metadata.audit.record({ ...entry, detail: '', request: '' });
  }
}

async function hashed(password: string): Promise<string> {
  if (password.length < PASSWORD_LENGTH) {
    throw new AdminError(
      'BAD_PASSWORD',
      `Cannot set a password: it has fewer than ${PASSWORD_LENGTH} characters`,
    );
  }
  return hashPassword(password);
}

function unknown(kind: string, name: string): AdminError {
  return new AdminError('NOT_FOUND', `Cannot find ${kind} "${name}": there is none`);
}
