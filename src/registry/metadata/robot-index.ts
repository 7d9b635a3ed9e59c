import type { Role } from '../identity/identity.ts';

/** An account for machines: one role in one project, secrets that are exchanged with an overlap. */
export interface RobotRecord {
  readonly name: string;
  readonly project: string;
  readonly role: Role;
  /** SHA-256 of the secret, hexadecimal: secrets are random, so no slow hash is needed. */
  readonly secretHash: string;
  /** Secrets before this one that were still good for a while when they were exchanged. */
  readonly past: readonly PastSecret[];
  readonly expiresAt?: number;
  readonly createdAt: number;
  readonly rotatedAt: number;
}

/** A secret that was exchanged. */
export interface PastSecret {
  readonly hash: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** Robots, under the rules of `registry-index.ts`: each method one transaction. */
export interface RobotIndex {
  findRobot(name: string): Promise<RobotRecord | undefined>;
  /** False when the name is taken or the project is not there. */
  createRobot(robot: RobotRecord): Promise<boolean>;
  /**
   * Sets a new secret and returns the robot with it; undefined when there is none. The old secret stays good until
   * `pastUntil` or until it would have ended by itself, secrets before it no longer than that. The new one is good until
   * `expiresAt`; absent, for as long as the old one was from when it was made.
   */
  rotateRobot(
    name: string,
    change: { secretHash: string; pastUntil: number; expiresAt?: number },
  ): Promise<RobotRecord | undefined>;
  deleteRobot(name: string): Promise<boolean>;
  listRobots(project: string | undefined): Promise<RobotRecord[]>;
}
