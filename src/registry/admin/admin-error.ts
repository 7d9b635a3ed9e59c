import { CodedError } from '../../base/coded-error.ts';

export type AdminErrorCode = 'BAD_NAME' | 'BUSY' | 'BAD_POLICY' | 'BAD_PASSWORD' | 'EXISTS' | 'NOT_FOUND';

/** What can go wrong when accounts and projects are managed. */
export class AdminError extends CodedError<AdminErrorCode> {}
