import { RuntimeError } from '../runtime/runtime-error.ts';
import { CriCallError } from './cri-connection.ts';

/** Says a runtime's refusal of a command in the runtime's own terms. */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof CriCallError)) return error;
  if (error.status === 'DeadlineExceeded')
    return new RuntimeError('TIMEOUT', error.description, { cause: error });
  if (error.status === 'NotFound') return new RuntimeError('NOT_FOUND', error.description, { cause: error });
  return error;
}
