import { messageOf } from '../base/coded-error.ts';
import { RuntimeError, type RuntimeErrorCode } from '../runtime/runtime-error.ts';

/** gRPC status names of a runtime's refusals. @see CRI v1; containerd answers everything else with `Unknown` */
const STATUS: Partial<Record<RuntimeErrorCode, string>> = {
  NOT_FOUND: 'NotFound',
  INVALID: 'InvalidArgument',
  TIMEOUT: 'DeadlineExceeded',
  UNAVAILABLE: 'Unavailable',
};

/** Prints an error of the runtime as the kubelet sees it through CRI: `rpc error: code = … desc = …`. */
export function criErrorText(error: unknown): string {
  const text = messageOf(error);
  if (!(error instanceof RuntimeError) || text.startsWith('rpc error: ')) return text;
  return `rpc error: code = ${STATUS[error.code] ?? 'Unknown'} desc = ${text}`;
}
