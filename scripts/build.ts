// Emits dist/: JavaScript with types for publishing, and the data files that sources read beside themselves.
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';

const root = new URL('..', import.meta.url);
rmSync(new URL('dist', root), { recursive: true, force: true });
const tsc = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

const DATA_FILE = /\.(json|json\.gz|proto|sql|wasm)$/;
cpSync(new URL('src', root), new URL('dist', root), {
  recursive: true,
  filter: (source) =>
    !/\.tsx?$/.test(source) && (!source.includes('.') || DATA_FILE.test(source) || !/\.[a-z]+$/.test(source)),
});
