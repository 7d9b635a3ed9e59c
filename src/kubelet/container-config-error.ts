import { CodedError } from '../base/coded-error.ts';

/** A container that cannot be configured as its Pod says: waiting reason `CreateContainerConfigError`. */
export class ContainerConfigError extends CodedError<'CreateContainerConfigError'> {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('CreateContainerConfigError', message, options);
  }
}
