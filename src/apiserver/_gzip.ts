import { gzip } from 'node:zlib';

/** Answers below this size go out as they are: compressing them costs more than it saves (as upstream decides). */
export const GZIP_FROM = 128 * 1024;

/** Compresses off the event loop, fast rather than small. */
export function compress(bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gzip(bytes, { level: 1 }, (error, result) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}
