// Everything that is looked at without running the program: types, lint, formatting, dead code, rules that no test cites.
import { spawnSync } from 'node:child_process';

let failed = 0;
for (const step of ['types', 'lint', 'format:check', 'dead', 'rules']) {
  process.stdout.write(`\n== npm run ${step}\n`);
  const run = spawnSync('npm', ['run', '--silent', step], {
    cwd: new URL('..', import.meta.url),
    stdio: 'inherit',
  });
  if (run.status !== 0) {
    failed++;
    process.stdout.write(`== ${step} failed\n`);
  }
}
process.exit(failed === 0 ? 0 : 1);
