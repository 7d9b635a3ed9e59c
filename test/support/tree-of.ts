import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What a tree is compared by. Times in whole seconds where `times` is given. */
export interface TreeOptions {
  readonly owners?: boolean;
  readonly times?: boolean;
  readonly xattrs?: boolean;
}

/**
 * Describes everything in a directory by one line each: type, mode, owner, size and digest of content, link target, device,
 * which names are one file. Names are shown as `latin1`, so that any bytes can be compared.
 */
export function treeOf(root: string, options: TreeOptions = {}): Record<string, string> {
  const tree: Record<string, string> = {};
  const firstNames = new Map<number, string>();
  const xattrs = options.xattrs === true ? xattrsOf(root) : new Map<string, string>();
  const visit = (path: string): void => {
    const absolute = Buffer.from(path === '' ? root : `${root}/${path}`, path === '' ? 'utf8' : 'latin1');
    const facts = lstatSync(absolute);
    const parts = [(facts.mode & 0o7777).toString(8)];
    if (options.owners === true) parts.push(`${facts.uid}:${facts.gid}`);
    if (options.times === true) parts.push(`@${Math.floor(facts.mtimeMs / 1000)}`);
    if (facts.isDirectory()) parts.unshift('directory');
    else if (facts.isSymbolicLink()) parts.unshift('link', readlinkSync(absolute, { encoding: 'latin1' }));
    else if (facts.isFile()) {
      const digest = createHash('sha256').update(readFileSync(absolute)).digest('hex').slice(0, 16);
      parts.unshift('file', String(facts.size), digest);
    } else if (facts.isFIFO()) parts.unshift('fifo');
    else parts.unshift(facts.isBlockDevice() ? 'block' : 'character', String(facts.rdev));
    if (!facts.isDirectory() && facts.nlink > 1) {
      const first = firstNames.get(facts.ino) ?? path;
      firstNames.set(facts.ino, first);
      if (first !== path) parts.push(`same as ${first}`);
    }
    const attributes = xattrs.get(path);
    if (attributes !== undefined) parts.push(attributes);
    tree[path === '' ? '.' : path] = parts.join(' ');
    if (!facts.isDirectory()) return;
    for (const name of readdirSync(absolute, { encoding: 'latin1' }).toSorted())
      visit(path === '' ? name : `${path}/${name}`);
  };
  visit('');
  return tree;
}

function xattrsOf(root: string): Map<string, string> {
  const dump = spawnSync('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], {
    cwd: root,
    encoding: 'latin1',
    maxBuffer: 64e6,
  });
  const found = new Map<string, string>();
  for (const block of dump.stdout.split('\n\n')) {
    const [file, ...lines] = block.trim().split('\n');
    if (file === undefined || file === '') continue;
    const path = file
      .replace('# file: ', '')
      .replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    found.set(path === '.' ? '' : path, lines.toSorted().join(' '));
  }
  return found;
}
