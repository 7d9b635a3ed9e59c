import { LruMap } from '../../base/lru-map.ts';
import type { Role } from '../identity/identity.ts';
import { reassignProjects } from './_repository-row.ts';
import { roleOf } from './_role-column.ts';
import { NO_POLICY, type Policy } from '../policy.ts';
import type { ProjectIndex, ProjectRecord } from './identity-index.ts';
import type { SqliteDatabase, SqlRow } from './sqlite-database.ts';

/** Keeps projects and roles in SQLite. */
export class SqliteProjectIndex implements ProjectIndex {
  readonly #db: SqliteDatabase;

  constructor(db: SqliteDatabase) {
    this.#db = db;
  }

  createProject(project: ProjectRecord): Promise<boolean> {
    const sql =
      'INSERT INTO project (name, public, policy, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING';
    return this.#db.write(() => {
      const made =
        this.#db.run(
          sql,
          project.name,
          project.public ? 1 : 0,
          JSON.stringify(project.policy),
          project.createdAt,
        ) > 0;
      if (made) reassignProjects(this.#db, project.name);
      return made;
    });
  }

  updateProject(name: string, change: { public?: boolean; policy?: Policy }): Promise<boolean> {
    const value = change.public === undefined ? null : Number(change.public);
    const policy = change.policy === undefined ? null : JSON.stringify(change.policy);
    const sql =
      'UPDATE project SET public = coalesce(?, public), policy = coalesce(?, policy) WHERE name = ?';
    return this.#db.write(() => this.#db.run(sql, value, policy, name) > 0);
  }

  deleteProject(name: string): Promise<boolean> {
    return this.#db.write(() => {
      const removed = this.#db.run('DELETE FROM project WHERE name = ?', name) > 0;
      if (removed) reassignProjects(this.#db, name);
      return removed;
    });
  }

  async listProjects(): Promise<ProjectRecord[]> {
    return this.#db.all('SELECT * FROM project ORDER BY name').map(projectOf);
  }

  async findProjects(names: readonly string[]): Promise<ProjectRecord[]> {
    const sql = 'SELECT * FROM project WHERE name IN (SELECT value FROM json_each(?))';
    return this.#db.all(sql, JSON.stringify(names)).map(projectOf);
  }

  setRole(project: string, account: string, role: Role | undefined): Promise<boolean> {
    return this.#db.write(() => {
      if (this.#db.get('SELECT 1 FROM project WHERE name = ?', project) === undefined) return false;
      this.#db.run('DELETE FROM project_role WHERE project = ? AND account = ?', project, account);
      if (role === undefined) return true;
      const sql = 'INSERT INTO project_role (project, account, role) VALUES (?, ?, ?)';
      return this.#db.run(sql, project, account, role) > 0;
    });
  }

  async rolesOf(account: string, projects: readonly string[]): Promise<{ project: string; role: Role }[]> {
    const sql = `SELECT project, role FROM project_role
      WHERE account = ? AND project IN (SELECT value FROM json_each(?))`;
    return this.#db
      .all(sql, account, JSON.stringify(projects))
      .map((row) => ({ project: String(row['project']), role: roleOf(row) }));
  }

  async membersOf(project: string): Promise<{ account: string; role: Role }[]> {
    const sql = 'SELECT account, role FROM project_role WHERE project = ? ORDER BY account';
    return this.#db.all(sql, project).map((row) => ({ account: String(row['account']), role: roleOf(row) }));
  }
}

function projectOf(row: SqlRow): ProjectRecord {
  return {
    name: String(row['name']),
    public: row['public'] === 1,
    policy: policyOf(String(row['policy'])),
    createdAt: Number(row['created_at']),
  };
}

/** Policies parsed lately: every push reads one, and few differ. */
const parsed = new LruMap<string, Policy>(1_000);

function policyOf(text: string): Policy {
  if (text === '{}') return NO_POLICY;
  const known = parsed.get(text);
  if (known !== undefined) return known;
  // Written by this class alone, checked and with every default filled in.
  const policy: Policy = { ...NO_POLICY, ...(JSON.parse(text) as Policy) };
  parsed.set(text, policy);
  return policy;
}
