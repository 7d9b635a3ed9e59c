import { CodedError } from '../base/coded-error.ts';

/**
 * What can go wrong when containers are run:
 * `NOT_FOUND` no such sandbox, container or image; `INVALID` a configuration that cannot be run (unknown user, path that leaves the root);
 * `START_FAILED` the process could not be started; `NOT_RUNNING` it is not (or no longer) running; `TIMEOUT` it took too long;
 * `EXEC_FAILED` a command could not be started inside; `UNAVAILABLE` this machine cannot run containers.
 */
export type RuntimeErrorCode =
  | 'NOT_FOUND'
  | 'INVALID'
  | 'START_FAILED'
  | 'EXEC_FAILED'
  | 'NOT_RUNNING'
  | 'TIMEOUT'
  | 'UNAVAILABLE';

export class RuntimeError extends CodedError<RuntimeErrorCode> {}
