import type { Role } from '../identity/identity.ts';

/** An account for machines: one role in one project, secrets that are exchanged with an overlap. */
export interface RobotRecord {
  readonly name: string;
  readonly project: string;
  readonly role: Role;
  /** SHA-256 of the secret, hexadecimal: secrets are random, so no slow hash is needed. */
  readonly secretHash: string;
  /** The secret before, good until `previousUntil`. */
  readonly previousHash?: string;
  readonly previousUntil?: number;
  readonly expiresAt?: number;
  readonly createdAt: number;
  readonly rotatedAt: number;
}

/** Robots, under the rules of `registry-index.ts`: each method one transaction. */
export interface RobotIndex {
  findRobot(name: string): Promise<RobotRecord | undefined>;
  /** False when the name is taken or the project is not there. */
  createRobot(robot: RobotRecord): Promise<boolean>;
  /** Sets a new secret and keeps the old one good until `previousUntil`; false when there is no such robot. */
  rotateRobot(
    name: string,
    change: { secretHash: string; previousUntil: number; expiresAt?: number },
  ): Promise<boolean>;
  deleteRobot(name: string): Promise<boolean>;
  listRobots(project: string | undefined): Promise<RobotRecord[]>;
}
