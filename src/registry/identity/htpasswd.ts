import { readFile, stat } from 'node:fs/promises';

/** A file of users as Apache's `htpasswd -B` writes it: `name:$2y$…` a line. Read again when it changes. */
export class HtpasswdFile {
  readonly #path: string;
  #version = '';
  #hashes: ReadonlyMap<string, string> = new Map();

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Returns the bcrypt hash of a user. Entries with other hashes are passed over: they are too weak to be a password.
   *
   * @throws the system's error when the file cannot be read
   */
  async hashOf(user: string): Promise<string | undefined> {
    const facts = await stat(this.#path);
    const version = `${facts.mtimeMs} ${facts.size} ${facts.ino}`;
    if (version !== this.#version) {
      this.#hashes = parseHtpasswd(await readFile(this.#path, 'utf8'));
      this.#version = version;
    }
    return this.#hashes.get(user);
  }

  /** Tells whether `password` is the user's. */
  async verify(password: string, hash: string): Promise<boolean> {
    const { compare } = await import('bcryptjs');
    return compare(password, hash);
  }
}

/** Reads the lines of an htpasswd file; the first entry of a name counts, as in Apache. */
export function parseHtpasswd(text: string): Map<string, string> {
  const hashes = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^([^:#\s][^:]*):(\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53})$/.exec(line.trim());
    const [, user, hash] = match ?? [];
    if (user !== undefined && hash !== undefined && !hashes.has(user)) hashes.set(user, hash);
  }
  return hashes;
}
