// Runs every test with the runner of Node. Arguments narrow it down: `npm test -- src/oci` or any option of `node --test`.
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

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
    // Half of the time of many files is spent waiting: for disks, for processes that start, for containers.
    `--test-concurrency=${2 * availableParallelism()}`,
    '--test-timeout=300000',
    ...options,
    ...patterns,
  ],
  {
    cwd: new URL('..', import.meta.url),
    stdio: 'inherit',
    env: {
      // Each file is a process, and starts others: types are stripped and code is compiled once for all of them.
      NODE_COMPILE_CACHE: fileURLToPath(new URL('../node_modules/.cache/drayage-tests', import.meta.url)),
      ...process.env,
    },
  },
);
process.exit(run.status ?? 1);
