import { ArchiveError } from './archive-error.ts';
import type { TarEntry } from './tar-entry.ts';

/** Times beyond these seconds do not fit nanoseconds of 64 bits; container runtimes make them the epoch. */
const MAX_SECONDS = 9_223_372_036;
/** The largest owner; the one above means "do not change" to chown. */
const MAX_OWNER = 0xffff_fffe;

export interface Metadata {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly atime: number;
}

/** Says what the file of an entry is to be like, given who unpacks it. */
export class EntryMetadata {
  readonly uid = process.geteuid?.() ?? 0;
  readonly gid = process.getegid?.() ?? 0;
  readonly umask = process.umask();
  /** Whether owners are set at all. */
  readonly setsOwners: boolean;
  readonly #always: boolean;

  /** @param always sets owners even where they seem right: a directory of a lower layer may pass its group on */
  constructor(owners: 'apply' | 'record' | undefined, always: boolean) {
    this.setsOwners = (owners ?? (this.uid === 0 ? 'apply' : 'record')) === 'apply';
    this.#always = always;
  }

  /** @throws ArchiveError `BAD_ARCHIVE` for an owner out of range */
  of({ type, mode, uid, gid, mtime, atime }: TarEntry): Metadata {
    if (uid < 0 || uid > MAX_OWNER || gid < 0 || gid > MAX_OWNER) {
      throw new ArchiveError('BAD_ARCHIVE', `Cannot apply layer: owner ${uid}:${gid} is out of range`);
    }
    // Without root nobody could read, fill or remove what its own mode locks.
    const lift = this.uid === 0 ? 0 : type === 'directory' ? 0o700 : 0o400;
    const modified = boundedTime(mtime);
    return {
      mode: mode | lift,
      uid,
      gid,
      mtime: modified,
      atime: Math.max(modified, boundedTime(atime ?? 0)),
    };
  }

  isForeign({ uid, gid }: { readonly uid: number; readonly gid: number }): boolean {
    return uid !== this.uid || gid !== this.gid;
  }

  needsOwner(metadata: Metadata): boolean {
    return this.setsOwners && (this.#always || this.isForeign(metadata));
  }

  /** Tells whether the mode of a new file has to be set: it went through the umask, and a change of owner takes set-id bits away. */
  needsMode(mode: number): boolean {
    return (mode & this.umask) !== 0 || (mode & 0o7000) !== 0;
  }
}

function boundedTime(seconds: number): number {
  return seconds >= 0 && seconds <= MAX_SECONDS ? seconds : 0;
}
