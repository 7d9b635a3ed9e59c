import { CodedError } from '../../base/coded-error.ts';

/** A volume that cannot be prepared: the Pod waits and it is tried again; the message goes to a `FailedMount` event. */
export class VolumeError extends CodedError<'FailedMount'> {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super('FailedMount', message, { retryable: true, ...options });
  }
}
