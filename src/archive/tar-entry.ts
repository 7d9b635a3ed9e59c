/** What an entry makes. */
export type TarEntryType = 'file' | 'link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

/** A stretch of a sparse file that has bytes in the archive. */
export interface SparsePart {
  readonly offset: number;
  readonly length: number;
}

/**
 * One entry of a tar archive after its extension headers were taken in. Names are bytes: tar knows no encoding.
 * Everything here is under the control of whoever made the archive.
 */
export interface TarEntry {
  readonly type: TarEntryType;
  readonly path: Buffer;
  /** Target of `link` and `symlink`, otherwise empty. */
  readonly linkPath: Buffer;
  /** Permission bits with set-id and sticky bits: at most 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Size of the file that the entry makes, holes included; 0 for everything but files. */
  readonly size: number;
  /** Seconds since the epoch; fractions where the archive has them. */
  readonly mtime: number;
  readonly atime?: number;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Extended attributes by full name, such as `security.capability`. */
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /** Where the bytes go when the file has holes; absent for an ordinary file. */
  readonly sparse?: readonly SparsePart[];
}
