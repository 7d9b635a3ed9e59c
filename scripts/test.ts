// Runs every test with the runner of Node. Arguments narrow it down: `npm test -- src/oci` or any option of `node --test`.
import { spawnSync } from 'node:child_process';

const chosen = process.argv.slice(2);
const paths = chosen.filter((argument) => !argument.startsWith('-'));
const options = chosen.filter((argument) => argument.startsWith('-'));
const patterns =
  paths.length === 0
    ? ['src/**/*.test.ts', 'test/**/*.test.ts']
    : paths.map((path) => (path.endsWith('.ts') ? path : `${path}/**/*.test.ts`));

const run = spawnSync(
  process.execPath,
  [
    '--disable-warning=ExperimentalWarning',
    '--test',
    '--test-concurrency=2',
    '--test-timeout=300000',
    ...options,
    ...patterns,
  ],
  { cwd: new URL('..', import.meta.url), stdio: 'inherit' },
);
process.exit(run.status ?? 1);
