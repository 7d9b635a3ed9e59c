import type { Clock } from '../../base/clock.ts';
import { isRole, type Role } from '../identity/identity.ts';
import { hashRobotSecret, makeRobotSecret, ROBOT_PREFIX } from '../identity/robot-accounts.ts';
import type { AuditLog } from '../metadata/audit-log.ts';
import type { RobotIndex, RobotRecord } from '../metadata/robot-index.ts';
import { AdminError } from './admin-error.ts';

/** Names that need no quoting in shells, YAML and URLs. */
const LOCAL_NAME = /^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/;
/** How long an exchanged secret stays good: nodes have to be given the new one meanwhile. */
const OVERLAP_MS = 24 * 3_600_000;

/** A robot as shown to people: without its secrets. */
export interface Robot {
  readonly name: string;
  readonly project: string;
  readonly role: Role;
  readonly expiresAt?: number;
  readonly createdAt: number;
  readonly rotatedAt: number;
  /** Until when a secret from before the last exchange is good, while one is. */
  readonly overlapUntil?: number;
}

/** A robot and its secret, which is shown this once. */
export interface RobotCredential {
  readonly name: string;
  readonly secret: string;
  readonly expiresAt?: number;
}

/** Manages robots: accounts of machines with one role in one project. */
export class RobotAdministration {
  readonly #robots: RobotIndex;
  readonly #audit: AuditLog;
  readonly #clock: Clock;

  constructor(robots: RobotIndex, audit: AuditLog, clock: Clock) {
    this.#robots = robots;
    this.#audit = audit;
    this.#clock = clock;
  }

  /**
   * Creates the robot `robot.PROJECT.NAME` (slashes of the project become dots).
   *
   * @param options `lifetimeMs`: how long its secret is good; for ever when absent
   * @throws AdminError `BAD_NAME`, `EXISTS` (also when there is no such project)
   */
  async create(
    project: string,
    name: string,
    role: Role,
    options: { lifetimeMs?: number } = {},
  ): Promise<RobotCredential> {
    if (!LOCAL_NAME.test(name)) {
      throw new AdminError(
        'BAD_NAME',
        `Cannot create robot "${name}": not a name of letters, digits and dashes`,
      );
    }
    if (!isRole(role))
      throw new AdminError('BAD_NAME', `Cannot create robot "${name}": "${String(role)}" is no role`);
    const fullName = `${ROBOT_PREFIX}${project.replaceAll('/', '.')}.${name}`;
    const secret = makeRobotSecret();
    const now = this.#clock.now();
    const expiry = options.lifetimeMs === undefined ? {} : { expiresAt: now + options.lifetimeMs };
    const secretHash = hashRobotSecret(secret);
    const times = { createdAt: now, rotatedAt: now, ...expiry };
    const record = { name: fullName, project, role, secretHash, past: [], ...times };
    if (!(await this.#robots.createRobot(record))) {
      throw new AdminError(
        'EXISTS',
        `Cannot create robot "${fullName}": it exists, or project "${project}" does not`,
      );
    }
    await this.#record('robot.create', fullName);
    return { name: fullName, secret, ...expiry };
  }

  /**
   * Exchanges the secret; the old one stays good for `overlapMs` (a day), so that no running node fails, as do those before
   * it whose time is not over. The new one is good for `lifetimeMs`, or for as long as the old one was made for.
   *
   * @throws AdminError `NOT_FOUND`
   */
  async rotate(
    name: string,
    options: { overlapMs?: number; lifetimeMs?: number } = {},
  ): Promise<RobotCredential> {
    const secret = makeRobotSecret();
    const now = this.#clock.now();
    const expiry = options.lifetimeMs === undefined ? {} : { expiresAt: now + options.lifetimeMs };
    const pastUntil = now + (options.overlapMs ?? OVERLAP_MS);
    const change = { secretHash: hashRobotSecret(secret), pastUntil, ...expiry };
    const robot = await this.#robots.rotateRobot(name, change);
    if (robot === undefined) {
      throw new AdminError('NOT_FOUND', `Cannot rotate robot "${name}": there is none`);
    }
    await this.#record('robot.rotate', name);
    const { expiresAt } = robot;
    return { name, secret, ...(expiresAt === undefined ? {} : { expiresAt }) };
  }

  /** @throws AdminError `NOT_FOUND` */
  async remove(name: string): Promise<void> {
    if (!(await this.#robots.deleteRobot(name))) {
      throw new AdminError('NOT_FOUND', `Cannot remove robot "${name}": there is none`);
    }
    await this.#record('robot.delete', name);
  }

  /** Lists the robots of a project, or all. */
  async list(project?: string): Promise<Robot[]> {
    return (await this.#robots.listRobots(project)).map((record) => this.#shown(record));
  }

  async #record(action: string, target: string): Promise<void> {
    const at = this.#clock.now();
    const entry = { at, account: 'local', address: '', action, target, outcome: 'done' as const };
    await this.#audit.record({ ...entry, detail: '', request: '' });
  }

  #shown(record: RobotRecord): Robot {
    const { name, project, role, createdAt, rotatedAt, expiresAt, past } = record;
    const overlapUntil = Math.max(0, ...past.map(({ until }) => until));
    return {
      name,
      project,
      role,
      createdAt,
      rotatedAt,
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(overlapUntil > this.#clock.now() ? { overlapUntil } : {}),
    };
  }
}
