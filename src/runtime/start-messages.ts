/*
 * Words of a CRI runtime (containerd 2.3 with runc 1.3) for processes that could not be started: people and tools search for them,
 * so they are the same whatever really started the container.
 */

const NO_PROCESS = 'unable to start container process: ';
const DURING_INIT = 'error during container init: ';

/** Words a container's start that failed for the reason a launcher gave. */
export function startErrorMessage(failure: string): string {
  const { subject, rest } = split(failure);
  // runc before 1.2 does not say where it was when it looked for the program.
  const where = subject !== '' && /^exec:? /.test(rest) ? DURING_INIT : '';
  return `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: ${subject}${where}${rest}`;
}

/** Words a command that could not be started inside a running container. */
export function execErrorMessage(execId: string, failure: string): string {
  const { subject, rest } = split(failure.replace(/^exec failed: /, ''));
  const why = rest.startsWith(DURING_INIT) ? rest.slice(DURING_INIT.length) : rest;
  return `failed to exec in container: failed to start exec "${execId}": OCI runtime exec failed: exec failed: ${subject}${why}`;
}

function split(failure: string): { subject: string; rest: string } {
  return failure.startsWith(NO_PROCESS)
    ? { subject: NO_PROCESS, rest: failure.slice(NO_PROCESS.length) }
    : { subject: '', rest: failure };
}
