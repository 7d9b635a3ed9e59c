import type { TarOfEntry } from './tar-of.ts';

const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
/** One of everything that an archive can hold. */
export const ODD_LAYER: readonly TarOfEntry[] = [
  { path: './', mode: 0o755, mtime: 100 },
  { path: 'odd/', mode: 0o2770, uid: 12, gid: 34, mtime: 1_000_000_000.5 },
  { path: 'odd/suid', content: 'x', mode: 0o4711, uid: 1, gid: 2, mtime: 5 },
  // With what its file has, as archivers write it: containerd sets it once more.
  { type: 'link', path: 'odd/hard', linkPath: './odd/suid', mode: 0o4711, uid: 1, gid: 2, mtime: 5 },
  { type: 'symlink', path: 'odd/dangling', linkPath: '../../../etc/none', uid: 7, gid: 8, mtime: 9 },
  { type: 'character', path: 'odd/null', devMajor: 1, devMinor: 3, mode: 0o666, mtime: 9 },
  { type: 'block', path: 'odd/disk', devMajor: 259, devMinor: 513, mode: 0o660, gid: 6, mtime: 9 },
  { type: 'fifo', path: 'odd/pipe', mode: 0o640, mtime: 9 },
  {
    path: 'odd/ping',
    content: 'elf',
    mode: 0o755,
    mtime: 9,
    xattrs: new Map([
      ['security.capability', capability],
      ['user.note', Buffer.from('hi')],
    ]),
  },
  { path: `odd/${'long-'.repeat(45)}`, content: 'long', mtime: 9 },
  { path: Buffer.from('odd/\xff\xfe latin', 'latin1'), content: 'bytes', mtime: 9 },
  { path: 'odd/twice', content: 'first', mtime: 9 },
  { path: 'odd/twice', content: 'second', mtime: 9 },
  { path: 'gone/', mtime: 9 },
  { path: 'gone/deep/', mtime: 9 },
  { path: 'gone/deep/file', content: '', mtime: 9 },
  { path: 'cache/', mtime: 9 },
  { path: 'cache/old', content: '', mtime: 9 },
  { path: 'swap-a/', mtime: 9 },
  { path: 'swap-a/x', content: '', mtime: 9 },
  { type: 'symlink', path: 'swap-b', linkPath: 'swap-a', mtime: 9 },
  { path: 'swap-c', content: 'file', mtime: 9 },
];
/** Removes, replaces and hides what {@link ODD_LAYER} made. */
export const CHANGING_LAYER: readonly TarOfEntry[] = [
  { path: 'odd/', mode: 0o700, uid: 99, gid: 98, mtime: 77 },
  { path: 'odd/.wh.null', content: '' },
  { path: 'odd/suid', content: 'now plain', mode: 0o600, mtime: 78 },
  '.wh.gone',
  { path: 'cache/', mtime: 79 },
  { path: 'cache/.wh..wh..opq', content: '' },
  { path: 'cache/new', content: 'new', mtime: 79 },
  { type: 'symlink', path: 'swap-a', linkPath: 'swap-c', mtime: 80 },
  { path: 'swap-b/', mtime: 80 },
  { path: 'swap-b/y', content: '', mtime: 80 },
  { path: 'swap-c/', mtime: 80 },
  { path: 'etc/', mode: 0o755, mtime: 81 },
  { path: 'etc/.wh.passwd', content: '' },
  { path: 'etc/hostname', content: 'changed', mtime: 81 },
];
