import { StringDecoder } from 'node:string_decoder';

/** An object is below 2 MiB in storage; a line that grows past this is not one. */
const MAX_LINE = 32 * 1024 * 1024;

/** Splits a stream of UTF-8 into its non-empty lines; a last one without an end is dropped, since it may be cut. */
export async function* readLines(
  stream: AsyncIterable<Uint8Array>,
  onData: () => void,
): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let parts: string[] = [];
  let size = 0;
  for await (const chunk of stream) {
    onData();
    const pieces = decoder.write(Buffer.from(chunk)).split('\n');
    for (const [index, piece] of pieces.entries()) {
      parts.push(piece);
      size += piece.length;
      if (size > MAX_LINE) throw new RangeError(`a line is longer than ${MAX_LINE} characters`);
      if (index === pieces.length - 1) break;
      const line = parts.join('');
      parts = [];
      size = 0;
      if (line.trim() !== '') yield line;
    }
  }
}
