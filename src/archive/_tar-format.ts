/*
 * The header block, offsets in bytes (POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"):
 *
 *   name 0+100  mode 100+8  uid 108+8  gid 116+8  size 124+12  mtime 136+12  chksum 148+8  typeflag 156  linkname 157+100
 *   magic 257+6 version 263+2 uname 265+32 gname 297+32 devmajor 329+8 devminor 337+8
 *   ustar: prefix 345+155   star: prefix 345+131, trailer "tar\0" at 508
 *   GNU:   sparse map 386+4*24, isextended 482, realsize 483+12
 */

export const BLOCK = 512;

export const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  linkName: [157, 100],
  userName: [265, 32],
  groupName: [297, 32],
  devMajor: [329, 8],
  devMinor: [337, 8],
  prefix: [345, 155],
  starPrefix: [345, 131],
  gnuRealSize: [483, 12],
} as const;

export const TYPE_OFFSET = 156;
export const MAGIC_OFFSET = 257;
export const GNU_SPARSE_OFFSET = 386;
export const GNU_SPARSE_IN_HEADER = 4;
export const GNU_IS_EXTENDED_OFFSET = 482;
/** Entries of a GNU sparse extension block, and where it says whether another one follows. */
export const GNU_SPARSE_IN_EXTENSION = 21;
export const GNU_EXTENSION_MORE_OFFSET = 504;

/** Returns how many bytes follow `size` bytes of content up to the next block. */
export function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
