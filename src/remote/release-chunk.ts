/**
 * Frees the memory of a chunk of a body that came from a registry, once nobody reads it any more. A connection reads into new memory
 * each time; left to the collector, the event loop would stand still some ten times a second to look for it.
 *
 * Chunks cut from memory that others share stay as they are: those of Node's pool, and those with bytes of the connection behind them.
 */
export function releaseChunk({ buffer, byteOffset, length }: Uint8Array): void {
  // Node cuts from its pool what is less than half of it.
  const pooled = buffer.byteLength === Buffer.poolSize && length < Buffer.poolSize / 2;
  if (pooled || !(buffer instanceof ArrayBuffer) || byteOffset + length !== buffer.byteLength) return;
  buffer.transfer(0);
}
