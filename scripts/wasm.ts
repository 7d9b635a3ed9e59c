// Compiles wasm/ to the binaries that are checked in beside the sources that load them.
import { writeFileSync } from 'node:fs';
import { compileInflate, INFLATE_BINARY } from './compile-wasm.ts';

writeFileSync(INFLATE_BINARY, await compileInflate());
