import { open } from 'node:fs/promises';
import { join } from 'node:path';

/** The kernel's limit of a socket's path, the final zero byte left out. @see unix(7), sun_path */
const MAX_SOCKET_PATH_BYTES = 107;

export const SOCKET_NAME = 'stores.sock';

/** A path by which a socket in a directory can be named, however long the directory's own is; close it when it was used. */
export interface SocketPath {
  readonly path: string;
  close(): Promise<void>;
}

/** Names the socket of a root: by way of an open directory where the plain path is longer than the kernel takes. */
export async function socketPathOf(root: string): Promise<SocketPath> {
  const path = join(root, SOCKET_NAME);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return { path, close: () => Promise.resolve() };
  const directory = await open(root, 'r');
  return { path: `/proc/self/fd/${directory.fd}/${SOCKET_NAME}`, close: () => directory.close() };
}
