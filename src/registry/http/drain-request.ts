import type { IncomingMessage } from 'node:http';

/** Bytes of an unwanted body that are read away; beyond that its connection is worth less than reading on. */
const DRAIN_BYTES = 64 * 1024 * 1024;
/** Longest time for it. */
const DRAIN_MS = 10_000;

/**
 * Reads away what is left of the body of a request that was answered before its end, as with a full disk or quota. Left where it is,
 * it would keep the next request of the same connection from being seen; a connection that is closed at once takes the answer with it.
 */
export function drainRequest(message: IncomingMessage): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = message.headers;
  const hasBody = length !== '0' || encoding !== undefined;
  if (!hasBody || message.readableEnded || message.destroyed) return;
  let bytes = 0;
  const timer = setTimeout(() => message.destroy(), DRAIN_MS);
  timer.unref();
  message.once('close', () => clearTimeout(timer));
  message.once('end', () => clearTimeout(timer));
  message.on('error', ignoreBroken);
  message.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > DRAIN_BYTES) message.destroy();
  });
  message.resume();
}

/** Nobody waits for these bytes. */
function ignoreBroken(): void {}
