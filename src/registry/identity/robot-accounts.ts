import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { RobotIndex, RobotRecord } from '../metadata/robot-index.ts';
import type { AccountSource, KnownAccount } from './login.ts';

/** What robots' names begin with; no user's does. */
export const ROBOT_PREFIX = 'robot.';
/** Marks the registry's secrets, so that scanners find them in files where they should not be. */
const SECRET_PREFIX = 'dray_';
const SECRET_BYTES = 32;

/** Makes a secret of letters, digits, `-` and `_`. */
export function makeRobotSecret(): string {
  return SECRET_PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
}

/** Hashes a secret for keeping. */
export function hashRobotSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Knows robots, as long as they have not expired. */
export class RobotAccounts implements AccountSource {
  readonly #robots: RobotIndex;
  readonly #clock: Clock;

  constructor(robots: RobotIndex, clock: Clock) {
    this.#robots = robots;
    this.#clock = clock;
  }

  async find(account: string): Promise<KnownAccount | undefined> {
    if (!account.startsWith(ROBOT_PREFIX)) return undefined;
    const robot = await this.#robots.findRobot(account);
    if (robot === undefined || (robot.expiresAt ?? Infinity) <= this.#clock.now()) return nobody(account);
    const hashes = this.#goodHashes(robot);
    return {
      version: hashes.join(' '),
      identity: {
        kind: 'robot',
        account,
        admin: false,
        grants: [{ project: robot.project, role: robot.role }],
      },
      unguessable: true,
      verify: async (password) => {
        const given = Buffer.from(hashRobotSecret(password));
        return hashes.some((hash) => timingSafeEqual(Buffer.from(hash), given));
      },
    };
  }

  #goodHashes({ secretHash, past }: RobotRecord): string[] {
    const now = this.#clock.now();
    return [secretHash, ...past.filter(({ until }) => until > now).map(({ hash }) => hash)];
  }
}

/**
 * A robot that is not there is one that no secret opens. Were it passed on, it would be refused as slowly as a user is, and
 * time would tell which robots, and so which projects, there are.
 */
function nobody(account: string): KnownAccount {
  const identity = { kind: 'robot', account, admin: false, grants: [] } as const;
  return { version: '', identity, verify: async () => false };
}
