import { isSystemError, messageOf } from './coded-error.ts';

/** What people say where the system says a code. */
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of its path is no directory',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the file system is full',
};

/** Says why a file could not be read or written, to stand behind a sentence that names the file. */
export function fileProblem(error: unknown): string {
  const words = isSystemError(error) ? WORDS[error.code ?? ''] : undefined;
  return words ?? messageOf(error);
}
