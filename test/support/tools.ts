import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where Debian keeps programs that an ordinary user's PATH may lack. */
const SYSTEM_DIRECTORIES = ['/usr/sbin', '/sbin', '/usr/local/sbin'];

/** Returns the path of a program, or undefined where it is not installed. */
export function findTool(name: string): string | undefined {
  for (const directory of [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_DIRECTORIES]) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** The kubectl binaries to test with: those of `DRAYAGE_KUBECTL` (separated by colons), else the one on PATH. */
export function findKubectls(): string[] {
  const named = process.env['DRAYAGE_KUBECTL'];
  if (named !== undefined && named !== '') return named.split(delimiter);
  const found = findTool('kubectl');
  return found === undefined ? [] : [found];
}

/** Returns the reason to skip a test that needs these programs, or false to run it. */
export function skipWithout(...names: string[]): string | false {
  const missing = names.filter((name) => findTool(name) === undefined);
  return missing.length === 0 ? false : `needs ${missing.join(', ')}, not installed on this machine`;
}

/** Returns the reason to skip a test that only root can run, or false to run it. */
export function skipUnlessRoot(): string | false {
  return process.getuid?.() === 0 ? false : 'needs root';
}
