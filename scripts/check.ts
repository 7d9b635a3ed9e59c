// Everything that is looked at without running the program: types, lint, formatting, dead code, rules that no test cites.
// The steps run beside one another and are told of in this order.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const cwd = new URL('..', import.meta.url);

async function run(step: string): Promise<{ step: string; said: string; code: number | null }> {
  const child = spawn('npm', ['run', '--silent', step], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { step, said: out + err, code };
}

let failed = 0;
const runs = ['types', 'lint', 'format:check', 'dead', 'rules'].map(run);
for (const each of runs) {
  const { step, said, code } = await each;
  process.stdout.write(`\n== npm run ${step}\n${said}`);
  if (code !== 0) {
    failed++;
    process.stdout.write(`== ${step} failed\n`);
  }
}
process.exit(failed === 0 ? 0 : 1);
