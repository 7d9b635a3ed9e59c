import { goQuote } from '../../base/go-quote.ts';
import { CodedError } from '../../base/coded-error.ts';
import { internalError, StatusError, type Status } from '../../kube/status.ts';

/** A webhook that could not be asked or did not answer as it must: the failure policy decides what follows. */
export class WebhookFailure extends CodedError<'CALL' | 'RESPONSE'> {}

/** Makes the failure of a call: `failed calling webhook "x": <why>`. */
export function webhookFailure(
  code: 'CALL' | 'RESPONSE',
  name: string,
  why: string,
  options: { cause?: unknown } = {},
): WebhookFailure {
  return new WebhookFailure(code, `failed calling webhook ${goQuote(name)}: ${why}`, options);
}

/** Turns the failure into the answer of a request that may not pass without the webhook. */
export function failClosed(error: WebhookFailure): StatusError {
  return internalError(error.message, { cause: error });
}

/** Makes the answer of a request that a webhook denied, from what the webhook says; never a success. */
export function denial(name: string, given: Partial<Status> | undefined): StatusError {
  const denied = `admission webhook ${goQuote(name)} denied the request`;
  const { message = '', reason = '' } = given ?? {};
  const code = given?.code ?? 0;
  const said = message === '' ? (reason as string) : message;
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: said === '' ? `${denied} without explanation` : `${denied}: ${said}`,
    ...(reason === '' ? {} : { reason }),
    ...(given?.details === undefined ? {} : { details: given.details }),
    code: code < 400 ? 400 : code,
  });
}
