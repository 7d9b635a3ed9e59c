import type { Role } from '../identity/identity.ts';
import type { Policy } from '../policy.ts';

/* Who may use the registry, as small interfaces under the same rules as `registry-index.ts`: each method one transaction. */

export interface UserRecord {
  readonly name: string;
  /** As `identity/password.ts` prints it; never the password. */
  readonly passwordHash: string;
  readonly admin: boolean;
  readonly createdAt: number;
}

/** Users that are managed here. */
export interface UserIndex {
  findUser(name: string): Promise<UserRecord | undefined>;
  /** False when the name is taken. */
  createUser(user: UserRecord): Promise<boolean>;
  /** Changes password or rights and drops the user's refresh tokens; false when there is no such user. */
  updateUser(name: string, change: { passwordHash?: string; admin?: boolean }): Promise<boolean>;
  /** Removes the user with roles and refresh tokens; false when there is no such user. */
  deleteUser(name: string): Promise<boolean>;
  listUsers(): Promise<UserRecord[]>;
}

export interface ProjectRecord {
  readonly name: string;
  /** Whether anybody may pull. */
  readonly public: boolean;
  readonly policy: Policy;
  readonly createdAt: number;
}

/** Projects and who has which role in them. */
export interface ProjectIndex {
  /** False when the name is taken. */
  createProject(project: ProjectRecord): Promise<boolean>;
  updateProject(name: string, change: { public?: boolean; policy?: Policy }): Promise<boolean>;
  /** Removes the project and its roles, not its repositories. */
  deleteProject(name: string): Promise<boolean>;
  listProjects(): Promise<ProjectRecord[]>;
  /** Those of the named projects that exist. */
  findProjects(names: readonly string[]): Promise<ProjectRecord[]>;
  /** Sets or, without a role, takes away; false when there is no such project. */
  setRole(project: string, account: string, role: Role | undefined): Promise<boolean>;
  /** Roles of an account in the named projects. */
  rolesOf(account: string, projects: readonly string[]): Promise<{ project: string; role: Role }[]>;
  membersOf(project: string): Promise<{ account: string; role: Role }[]>;
}

export interface SigningKeyRecord {
  readonly id: string;
  /** JSON of a private JWK. */
  readonly privateJwk: string;
  readonly createdAt: number;
}

export interface RefreshTokenRecord {
  /** SHA-256 of the token, hexadecimal. */
  readonly hash: string;
  readonly account: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** What the token service keeps, shared by all processes that serve the registry. */
export interface TokenIndex {
  /** Newest first. */
  signingKeys(): Promise<SigningKeyRecord[]>;
  /** Adds a key unless one younger than `newerThan` is there already; returns the newest. */
  addSigningKey(key: SigningKeyRecord, newerThan: number): Promise<SigningKeyRecord>;
  removeSigningKeys(olderThan: number): Promise<number>;
  addRefreshToken(token: RefreshTokenRecord): Promise<void>;
  /** The account of a token that has not expired. */
  findRefreshToken(hash: string): Promise<RefreshTokenRecord | undefined>;
  removeExpiredRefreshTokens(): Promise<number>;
}

/** Counts failed logins, so that guessing is slow whichever process is asked. */
export interface LoginFailureIndex {
  /** Failures in a row and the time of the last one, per key; keys without any are left out. */
  loginFailures(keys: readonly string[]): Promise<{ key: string; failures: number; lastAt: number }[]>;
  /** Counts one more, forgetting those older than `forgetBefore`. */
  recordLoginFailure(keys: readonly string[], forgetBefore: number): Promise<void>;
  clearLoginFailures(key: string): Promise<void>;
}
