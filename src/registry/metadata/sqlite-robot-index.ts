import type { Clock } from '../../base/clock.ts';
import { roleOf } from './_role-column.ts';
import type { PastSecret, RobotIndex, RobotRecord } from './robot-index.ts';
import type { SqliteDatabase, SqlRow } from './sqlite-database.ts';

const ROBOTS = `SELECT r.*, (SELECT json_group_array(json_object('hash', hash, 'until', until)) FROM robot_past_secret
  WHERE robot = r.name) AS past FROM robot r`;
const ROTATE = `UPDATE robot SET secret_hash = ?1, rotated_at = ?2,
  expires_at = coalesce(?3, ?2 + expires_at - rotated_at) WHERE name = ?4`;
const SHORTEN = 'UPDATE robot_past_secret SET until = min(until, ?) WHERE robot = ?';
const PAST = `INSERT INTO robot_past_secret (robot, hash, until)
  SELECT name, secret_hash, min(?1, coalesce(expires_at, ?1)) FROM robot WHERE name = ?2`;

/** Keeps robots in SQLite. */
export class SqliteRobotIndex implements RobotIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async findRobot(name: string): Promise<RobotRecord | undefined> {
    const row = this.#db.get(`${ROBOTS} WHERE r.name = ?`, name);
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
    { secretHash, pastUntil, expiresAt }: { secretHash: string; pastUntil: number; expiresAt?: number },
  ): Promise<RobotRecord | undefined> {
    return this.#db.write(() => {
      const now = this.#clock.now();
      this.#db.run(SHORTEN, pastUntil, name);
      this.#db.run(PAST, pastUntil, name);
      this.#db.run('DELETE FROM robot_past_secret WHERE until <= ?', now);
      this.#db.run(ROTATE, secretHash, now, expiresAt ?? null, name);
      const row = this.#db.get(`${ROBOTS} WHERE r.name = ?`, name);
      return row && robotOf(row);
    });
  }

  deleteRobot(name: string): Promise<boolean> {
    return this.#db.write(() => this.#db.run('DELETE FROM robot WHERE name = ?', name) > 0);
  }

  async listRobots(project: string | undefined): Promise<RobotRecord[]> {
    const sql = `${ROBOTS} WHERE ? IS NULL OR r.project = ? ORDER BY r.name`;
    return this.#db.all(sql, project ?? null, project ?? null).map(robotOf);
  }
}

function robotOf(row: SqlRow): RobotRecord {
  return {
    name: String(row['name']),
    project: String(row['project']),
    role: roleOf(row),
    secretHash: String(row['secret_hash']),
    past: JSON.parse(String(row['past'])) as PastSecret[],
    ...(row['expires_at'] === null ? {} : { expiresAt: Number(row['expires_at']) }),
    createdAt: Number(row['created_at']),
    rotatedAt: Number(row['rotated_at']),
  };
}
