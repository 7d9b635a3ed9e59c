import type { Clock } from '../../base/clock.ts';
import { roleOf } from './_role-column.ts';
import type { RobotIndex, RobotRecord } from './robot-index.ts';
import type { SqliteDatabase, SqlRow } from './sqlite-database.ts';

/** Keeps robots in SQLite. */
export class SqliteRobotIndex implements RobotIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async findRobot(name: string): Promise<RobotRecord | undefined> {
    const row = this.#db.get('SELECT * FROM robot WHERE name = ?', name);
    return row && robotOf(row);
  }

  createRobot(robot: RobotRecord): Promise<boolean> {
    const sql = `INSERT INTO robot (name, project, role, secret_hash, expires_at, created_at, rotated_at)
      SELECT ?, name, ?, ?, ?, ?, ? FROM project WHERE name = ? ON CONFLICT DO NOTHING`;
    const { name, project, role, secretHash, expiresAt, createdAt, rotatedAt } = robot;
    return this.#db.write(
      () => this.#db.run(sql, name, role, secretHash, expiresAt ?? null, createdAt, rotatedAt, project) > 0,
    );
  }

  rotateRobot(
    name: string,
    change: { secretHash: string; previousUntil: number; expiresAt?: number },
  ): Promise<boolean> {
    const sql = `UPDATE robot SET previous_hash = secret_hash, previous_until = ?, secret_hash = ?, rotated_at = ?,
      expires_at = coalesce(?, expires_at) WHERE name = ?`;
    const { secretHash, previousUntil, expiresAt } = change;
    return this.#db.write(
      () => this.#db.run(sql, previousUntil, secretHash, this.#clock.now(), expiresAt ?? null, name) > 0,
    );
  }

  deleteRobot(name: string): Promise<boolean> {
    return this.#db.write(() => this.#db.run('DELETE FROM robot WHERE name = ?', name) > 0);
  }

  async listRobots(project: string | undefined): Promise<RobotRecord[]> {
    const sql = 'SELECT * FROM robot WHERE ? IS NULL OR project = ? ORDER BY name';
    return this.#db.all(sql, project ?? null, project ?? null).map(robotOf);
  }
}

function robotOf(row: SqlRow): RobotRecord {
  return {
    name: String(row['name']),
    project: String(row['project']),
    role: roleOf(row),
    secretHash: String(row['secret_hash']),
    ...(row['previous_hash'] === null
      ? {}
      : { previousHash: String(row['previous_hash']), previousUntil: Number(row['previous_until']) }),
    ...(row['expires_at'] === null ? {} : { expiresAt: Number(row['expires_at']) }),
    createdAt: Number(row['created_at']),
    rotatedAt: Number(row['rotated_at']),
  };
}
