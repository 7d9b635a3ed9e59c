import type { UserIndex } from '../metadata/identity-index.ts';
import { HtpasswdFile } from './htpasswd.ts';
import type { Grant, Role } from './identity.ts';
import type { AccountSource, KnownAccount } from './login.ts';
import { verifyPassword } from './password.ts';

/** Knows the users that are managed in the registry itself. */
export class ManagedAccounts implements AccountSource {
  readonly #users: UserIndex;

  constructor(users: UserIndex) {
    this.#users = users;
  }

  async find(account: string): Promise<KnownAccount | undefined> {
    const user = await this.#users.findUser(account);
    if (user === undefined) return undefined;
    return {
      version: user.passwordHash,
      identity: { kind: 'user', account, admin: user.admin, grants: [] },
      verify: (password) => verifyPassword(password, user.passwordHash),
    };
  }
}

/** Knows the users of a password file, who all have one role in the whole registry beside those that projects give them. */
export class FileAccounts implements AccountSource {
  readonly #file: HtpasswdFile;
  readonly #grants: readonly Grant[];

  constructor(path: string, role: Role | undefined) {
    this.#file = new HtpasswdFile(path);
    this.#grants = role === undefined ? [] : [{ project: '', role }];
  }

  async find(account: string): Promise<KnownAccount | undefined> {
    const hash = await this.#file.hashOf(account);
    if (hash === undefined) return undefined;
    return {
      version: hash,
      identity: { kind: 'user', account, admin: false, grants: this.#grants },
      verify: (password) => this.#file.verify(password, hash),
    };
  }
}
