import { execFile } from 'node:child_process';
import { access, constants, realpath } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { CodedError, messageOf } from '../base/coded-error.ts';
import { readElfHeader } from '../runtime/elf.ts';

const run = promisify(execFile);

export class HostProgramError extends CodedError<'NOT_FOUND' | 'NOT_A_PROGRAM'> {}

/** A file of this machine under the path at which a container shall see it. */
export interface ProgramFile {
  readonly path: string;
  /** Where its bytes are: `path` with every link followed. */
  readonly source: string;
}

/**
 * Finds a program of this machine and every file that it needs to start: itself, its dynamic loader, its libraries.
 *
 * The loader is asked, as `ldd` does, because it alone knows how it searches; glibc's and musl's both answer `--list`.
 *
 * @throws HostProgramError `NOT_FOUND`, or `NOT_A_PROGRAM` for a script
 */
export async function filesOfProgram(
  name: string,
): Promise<{ path: string; architecture: string; files: ProgramFile[] }> {
  const path = await findProgram(name);
  const source = await realpath(path);
  const header = await readElfHeader(source);
  if (header === undefined) {
    throw new HostProgramError(
      'NOT_A_PROGRAM',
      `Cannot make an image of ${JSON.stringify(path)}: it is not an ELF program`,
    );
  }
  const needed = new Set<string>([path]);
  if (header.interpreter !== undefined) {
    needed.add(header.interpreter);
    const { stdout } = await run(header.interpreter, ['--list', source]).catch((error: unknown) => {
      throw new HostProgramError(
        'NOT_A_PROGRAM',
        `Cannot list the libraries of ${JSON.stringify(path)}: ${messageOf(error)}`,
        { cause: error },
      );
    });
    for (const line of stdout.split('\n')) {
      const library = /(?:=>\s*|^\s*)(\/\S+)\s+\(0x/.exec(line)?.[1];
      if (library !== undefined) needed.add(library);
    }
  }
  const files = await Promise.all(
    [...needed].sort().map(async (each) => ({ path: each, source: await realpath(each) })),
  );
  return { path, architecture: header.architecture, files };
}

async function findProgram(name: string): Promise<string> {
  const directories = ['/bin', '/usr/bin', ...(process.env['PATH'] ?? '').split(delimiter)].filter((each) =>
    each.startsWith('/'),
  );
  for (const directory of directories) {
    const path = join(directory, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory: the next one may have it.
      continue;
    }
  }
  throw new HostProgramError(
    'NOT_FOUND',
    `Cannot find the program ${JSON.stringify(name)}: it is in none of ${directories.join(', ')}`,
  );
}
