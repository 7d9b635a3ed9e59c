import { Transform, type Readable } from 'node:stream';

const CR = 0x0d;
const LF = 0x0a;

/**
 * Puts a carriage return before each line feed that has none.
 *
 * runc switches this translation off in the terminal that it makes for a command, and leaves it to the terminal that it runs in itself. It does
 * so after the command has begun, so that the first lines may have been translated already: in runc's own terminal they would be twice.
 */
export function withLineEnds(output: Readable): Readable {
  let last = 0;
  const ends = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      const parts: Buffer[] = [];
      let from = 0;
      for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, at + 1)) {
        if ((at === 0 ? last : chunk[at - 1]) === CR) continue;
        parts.push(chunk.subarray(from, at), RETURN);
        from = at;
      }
      last = chunk.at(-1) ?? last;
      done(null, parts.length === 0 ? chunk : Buffer.concat([...parts, chunk.subarray(from)]));
    },
  });
  output.pipe(ends);
  // Nobody is to wait for the rest of an output that was cut off.
  output.once('close', () => {
    if (!output.readableEnded) ends.destroy();
  });
  return ends;
}

const RETURN = Buffer.from([CR]);
