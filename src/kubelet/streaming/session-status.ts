import type { SessionEnd } from './session-streams.ts';

/** Says how a session ended, as the `Status` that clients read at its end. @see the kubelet's remote command protocol, version 4 */
export function sessionStatus(end: SessionEnd): object {
  switch (end.kind) {
    case 'success':
      return { metadata: {}, status: 'Success' };
    case 'exit': {
      const why = `error executing command [${end.command.join(' ')}], exit code ${end.code}`;
      return exitStatus(end.code, why);
    }
    case 'error':
      return internalError(end.message);
  }
}

/**
 * Says the same as an API server does that has read it from a node first, which it does for clients of version 5: errors are wrapped once
 * more.
 */
export function relayedStatus(end: SessionEnd): object {
  switch (end.kind) {
    case 'success':
      return sessionStatus(end);
    case 'exit':
      return exitStatus(end.code, `command terminated with exit code ${end.code}`);
    case 'error':
      return internalError(`Internal error occurred: ${end.message}`);
  }
}

function exitStatus(code: number, why: string): object {
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: ${why}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

function internalError(message: string): object {
  return {
    metadata: {},
    status: 'Failure',
    message: `Internal error occurred: ${message}`,
    reason: 'InternalError',
    details: { causes: [{ message }] },
    code: 500,
  };
}
