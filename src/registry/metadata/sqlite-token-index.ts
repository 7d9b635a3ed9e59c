import type { Clock } from '../../base/clock.ts';
import type { RefreshTokenRecord, SigningKeyRecord, TokenIndex } from './identity-index.ts';
import type { SqliteDatabase, SqlRow } from './sqlite-database.ts';

/** Keeps signing keys and refresh tokens in SQLite. */
export class SqliteTokenIndex implements TokenIndex {
  readonly #db: SqliteDatabase;
  readonly #clock: Clock;

  constructor(db: SqliteDatabase, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  async signingKeys(): Promise<SigningKeyRecord[]> {
    return this.#db.all('SELECT * FROM signing_key ORDER BY created_at DESC, id').map(keyOf);
  }

  addSigningKey(key: SigningKeyRecord, newerThan: number): Promise<SigningKeyRecord> {
    return this.#db.write(() => {
      const sql = 'SELECT * FROM signing_key WHERE created_at > ? ORDER BY created_at DESC, id LIMIT 1';
      const known = this.#db.get(sql, newerThan);
      if (known !== undefined) return keyOf(known);
      const insert = 'INSERT INTO signing_key (id, private_jwk, created_at) VALUES (?, ?, ?)';
      this.#db.run(insert, key.id, key.privateJwk, key.createdAt);
      return key;
    });
  }

  removeSigningKeys(olderThan: number): Promise<number> {
    return this.#db.write(() => this.#db.run('DELETE FROM signing_key WHERE created_at < ?', olderThan));
  }

  async addRefreshToken(token: RefreshTokenRecord): Promise<void> {
    const sql = 'INSERT INTO refresh_token (hash, account, created_at, expires_at) VALUES (?, ?, ?, ?)';
    await this.#db.write(() =>
      this.#db.run(sql, token.hash, token.account, token.createdAt, token.expiresAt),
    );
  }

  async findRefreshToken(hash: string): Promise<RefreshTokenRecord | undefined> {
    const sql = 'SELECT * FROM refresh_token WHERE hash = ? AND expires_at > ?';
    const row = this.#db.get(sql, hash, this.#clock.now());
    return row && refreshTokenOf(row);
  }

  removeExpiredRefreshTokens(): Promise<number> {
    const sql = 'DELETE FROM refresh_token WHERE expires_at <= ?';
    return this.#db.write(() => this.#db.run(sql, this.#clock.now()));
  }
}

function keyOf(row: SqlRow): SigningKeyRecord {
  return {
    id: String(row['id']),
    privateJwk: String(row['private_jwk']),
    createdAt: Number(row['created_at']),
  };
}

function refreshTokenOf(row: SqlRow): RefreshTokenRecord {
  return {
    hash: String(row['hash']),
    account: String(row['account']),
    createdAt: Number(row['created_at']),
    expiresAt: Number(row['expires_at']),
  };
}
