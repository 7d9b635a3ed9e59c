import { readFileSync } from 'node:fs';
import * as asc from 'assemblyscript/asc';
import { MEMORY_PAGES } from '../src/archive/gzip/gzip-inflater.ts';

/** Where the compiled `wasm/inflate.ts` lies. */
export const INFLATE_BINARY = new URL('../src/archive/gzip/inflate.wasm', import.meta.url);

const SOURCE = new URL('../wasm/inflate.ts', import.meta.url);

/** Compiles `wasm/inflate.ts`; equal sources give equal bytes. @throws with the compiler's words */
export async function compileInflate(): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  let said = '';
  const { error } = await asc.main(
    [
      'inflate.ts --outFile inflate.wasm --runtime stub -O3 --noAssert',
      '--enable simd --enable bulk-memory --enable threads --importMemory --sharedMemory --memoryBase 64',
      `--initialMemory ${MEMORY_PAGES} --maximumMemory ${MEMORY_PAGES}`,
    ].flatMap((words) => words.split(' ')),
    {
      readFile: (name) => (name === 'inflate.ts' ? readFileSync(SOURCE, 'utf8') : null),
      writeFile: (name, contents) => {
        if (name === 'inflate.wasm') binary = contents as Uint8Array;
      },
      listFiles: () => [],
      stderr: { write: (text) => (said += String(text)) },
    },
  );
  if (error !== null || binary === undefined) throw new Error(`Cannot compile wasm: ${said}`);
  return binary;
}
