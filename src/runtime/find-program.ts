import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Returns the absolute path of a program in `PATH` or the system's folders (an ordinary user's PATH may lack `sbin`). */
export async function findProgram(name: string): Promise<string | undefined> {
  const path = `${process.env['PATH'] ?? ''}:${SYSTEM_PATH}`;
  for (const directory of path.split(':')) {
    if (!directory.startsWith('/')) continue;
    const file = join(directory, name);
    if (
      await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
    ) {
      return file;
    }
  }
  return undefined;
}
