import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { UserInfo } from './user-info.ts';

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/**
 * Says who sent a request without credentials over plain loopback: `owner`, when the other end is a process of this
 * process's own user or of root. Clients send no secrets without TLS, so the kernel's word has to do.
 *
 * A page in a browser runs as that user too: a request with an `Origin`, or for a host that is not this machine, is nobody's.
 */
export function localUser(owner: UserInfo): (request: IncomingMessage) => UserInfo | undefined {
  const known = new WeakMap<Socket, boolean>();
  return (request) => {
    const { socket, headers } = request;
    if (headers.origin !== undefined || !LOOPBACK_HOST.test(headers.host ?? '')) return undefined;
    let isOwner = known.get(socket);
    if (isOwner === undefined) {
      const uid = uidOfPeer(socket);
      isOwner = uid !== undefined && (uid === 0 || uid === process.getuid?.());
      known.set(socket, isOwner);
    }
    return isOwner ? owner : undefined;
  };
}

/** Returns the user of the process at the other end of a loopback connection, from the kernel's table of sockets. */
function uidOfPeer(socket: Socket): number | undefined {
  const theirs = tableAddress(socket.remoteAddress, socket.remotePort);
  const ours = tableAddress(socket.localAddress, socket.localPort);
  if (theirs === undefined || ours === undefined) return undefined;
  const [, ...lines] = readFileSync('/proc/net/tcp', 'latin1').split('\n');
  for (const line of lines) {
    // Seen from the client: its own end comes first. Columns: number, local, remote, state, queues, timer, retries, uid.
    const columns = line.trim().split(/\s+/);
    if (columns[1] === theirs && columns[2] === ours) return Number(columns[7]);
  }
  return undefined;
}

/** Prints an IPv4 address as that table does: bytes in the order of the processor, port in hexadecimal. */
function tableAddress(address: string | undefined, port: number | undefined): string | undefined {
  const parts = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address ?? '')?.slice(1);
  if (parts === undefined || port === undefined) return undefined;
  const hex = (value: number, width: number): string => value.toString(16).toUpperCase().padStart(width, '0');
  return `${parts
    .reverse()
    .map((part) => hex(Number(part), 2))
    .join('')}:${hex(port, 4)}`;
}
