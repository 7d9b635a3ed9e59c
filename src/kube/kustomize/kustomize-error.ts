import { CodedError } from '../../base/coded-error.ts';

export type KustomizeErrorCode = 'NOT_A_KUSTOMIZATION' | 'BAD_KUSTOMIZATION' | 'UNSUPPORTED' | 'NO_SUCH_FILE';

/** Why a kustomization cannot be built; the message names the file and what in it. */
export class KustomizeError extends CodedError<KustomizeErrorCode> {}
