import type { SessionRequest } from './session-streams.ts';

/** What an address of the agent's endpoint asks for. */
export type StreamRequest =
  | ({ readonly kind: 'exec'; readonly command: readonly string[] } & ContainerAddress & SessionRequest)
  | ({ readonly kind: 'attach' } & ContainerAddress & SessionRequest)
  | ({ readonly kind: 'portForward' } & PodAddress);

interface PodAddress {
  readonly namespace: string;
  readonly pod: string;
  /** Absent: whichever Pod of that name there is. */
  readonly uid: string | undefined;
}

interface ContainerAddress extends PodAddress {
  readonly container: string;
}

/**
 * Reads the address of a session:
 *
 *     /exec|attach /NAMESPACE/POD[/UID]/CONTAINER ? command=…&input=1&output=1&error=1&tty=1
 *     /portForward /NAMESPACE/POD[/UID]
 *
 * @returns undefined when it is none; a text says what is wrong with it
 */
export function parseStreamRequest(url: string): StreamRequest | string | undefined {
  const mark = url.indexOf('?');
  const parts = (mark < 0 ? url : url.slice(0, mark)).split('/').slice(1).map(decoded);
  const query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  const [kind, namespace = '', pod = '', ...rest] = parts;
  if (parts.includes('')) return undefined;
  if (kind === 'portForward' && pod !== '' && rest.length <= 1) {
    return { kind, namespace, pod, uid: rest[0] };
  }
  if ((kind !== 'exec' && kind !== 'attach') || rest.length < 1 || rest.length > 2) return undefined;
  const container = rest.at(-1) ?? '';
  const uid = rest.length === 2 ? rest[0] : undefined;
  const flag = (name: string): boolean => query.get(name) === '1' || query.get(name) === 'true';
  const tty = flag('tty');
  const wanted = { stdin: flag('input'), stdout: flag('output'), stderr: flag('error'), tty };
  if (tty && wanted.stderr) return 'tty and stderr cannot both be true';
  if (!wanted.stdin && !wanted.stdout && !wanted.stderr) {
    return 'you must specify at least 1 of stdin, stdout, stderr';
  }
  const address = { namespace, pod, uid, container, ...wanted };
  if (kind === 'attach') return { kind, ...address };
  const command = query.getAll('command');
  return command.length === 0 ? 'you must specify a command' : { kind, command, ...address };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}
