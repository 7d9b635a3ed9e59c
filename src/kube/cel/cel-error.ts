import { CodedError } from '../../base/coded-error.ts';

/** An expression that cannot be compiled, failed while it ran, or ran for too long. */
export class CelError extends CodedError<'COMPILE' | 'EVALUATE' | 'COST'> {}
