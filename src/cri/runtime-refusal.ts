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

/**
 * Says why a runtime did not make or start a container: its words without gRPC's, which is what a kubelet shows of these two calls
 * and of no other.
 */
export function startRefusalOf(error: unknown): unknown {
  const refusal = refusalOf(error);
  return refusal instanceof CriCallError
    ? new RuntimeError('START_FAILED', refusal.description, { cause: refusal })
    : refusal;
}
