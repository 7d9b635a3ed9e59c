import { isSystemError } from '../base/coded-error.ts';
import { ContentError } from './content-error.ts';

/** Turns a system error into the content error that callers switch on; anything else comes back as it is. */
export function contentError(error: unknown, action: string): unknown {
  if (isSystemError(error, 'ENOENT')) {
    return new ContentError('NOT_FOUND', `${action}: not found`, { cause: error });
  }
  if (isSystemError(error, 'ENOSPC') || isSystemError(error, 'EDQUOT')) {
    return new ContentError('NO_SPACE', `${action}: no space left on the device`, { cause: error });
  }
  return error;
}
