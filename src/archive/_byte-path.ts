/*
 * Paths are bytes. Inside this folder they are held as `latin1` strings, one character a byte: cheap to cut, to compare and
 * to key maps with, and nothing is lost. {@link fsPath} turns them into what node:fs takes.
 */

/** Returns the byte path of a path that this program made itself. */
export function bytePath(path: string): string {
  return Buffer.from(path).toString('latin1');
}

/** Returns a path for node:fs: a string where it is ASCII, otherwise its bytes. */
export function fsPath(path: string): string | Buffer {
  return /[^\x00-\x7f]/.test(path) ? Buffer.from(path, 'latin1') : path;
}

/** Returns text for messages. */
export function showPath(path: string): string {
  return JSON.stringify(Buffer.from(path, 'latin1').toString('utf8'));
}

/**
 * Cleans a path of an archive: no empty, `.` or `..` components, `..` never leading above the root. Returns `''` for the
 * root itself.
 */
export function cleanPath(path: string): string {
  // Most paths are clean but for a trailing slash.
  if (!/(?:^|\/)(?:\.{0,2})(?:\/|$)/.test(path)) return path;
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

/** Returns the part before the last slash, `''` when there is none. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/** Returns the part behind the last slash. */
export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Joins a path below the root and a name; `''` is the root. */
export function joinPath(parent: string, name: string): string {
  return parent === '' ? name : `${parent}/${name}`;
}
