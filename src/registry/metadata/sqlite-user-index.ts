import type { UserIndex, UserRecord } from './identity-index.ts';
import type { SqliteDatabase, SqlRow } from './sqlite-database.ts';

/** Keeps users in SQLite. */
export class SqliteUserIndex implements UserIndex {
  readonly #db: SqliteDatabase;

  constructor(db: SqliteDatabase) {
    this.#db = db;
  }

  async findUser(name: string): Promise<UserRecord | undefined> {
    const row = this.#db.get('SELECT * FROM user WHERE name = ?', name);
    return row && userOf(row);
  }

  createUser(user: UserRecord): Promise<boolean> {
    const sql =
      'INSERT INTO user (name, password, admin, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING';
    return this.#db.write(
      () => this.#db.run(sql, user.name, user.passwordHash, user.admin ? 1 : 0, user.createdAt) > 0,
    );
  }

  updateUser(name: string, change: { passwordHash?: string; admin?: boolean }): Promise<boolean> {
    const sql = 'UPDATE user SET password = coalesce(?, password), admin = coalesce(?, admin) WHERE name = ?';
    return this.#db.write(() => {
      this.#db.run('DELETE FROM refresh_token WHERE account = ?', name);
      const admin = change.admin === undefined ? null : Number(change.admin);
      return this.#db.run(sql, change.passwordHash ?? null, admin, name) > 0;
    });
  }

  deleteUser(name: string): Promise<boolean> {
    return this.#db.write(() => {
      this.#db.run('DELETE FROM refresh_token WHERE account = ?', name);
      this.#db.run('DELETE FROM project_role WHERE account = ?', name);
      return this.#db.run('DELETE FROM user WHERE name = ?', name) > 0;
    });
  }

  async listUsers(): Promise<UserRecord[]> {
    return this.#db.all('SELECT * FROM user ORDER BY name').map(userOf);
  }
}

function userOf(row: SqlRow): UserRecord {
  return {
    name: String(row['name']),
    passwordHash: String(row['password']),
    admin: row['admin'] === 1,
    createdAt: Number(row['created_at']),
  };
}
