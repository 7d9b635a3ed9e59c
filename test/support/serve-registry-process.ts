import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A registry in a process of its own. */
export interface RegistryProcess {
  readonly url: string;
  readonly child: ChildProcess;
}

async function failWhenEnded(ended: Promise<unknown[]>): Promise<never> {
  throw new Error(`the registry's process ended with ${String((await ended)[0])}`);
}

/**
 * Serves a registry from another process until the test ends.
 *
 * @param options source text of the options beside the directory
 * @param before source text that the options may use
 */
export async function serveRegistryProcess(
  t: Pick<TestContext, 'after'>,
  directory: string,
  options: string,
  before = '',
): Promise<RegistryProcess> {
  const place = await mkdtemp(join(tmpdir(), 'dray-serve-'));
  const program = join(place, 'serve.ts');
  const module = new URL('../../src/registry/registry.ts', import.meta.url).href;
  await writeFile(
    program,
    `import { createRegistry } from ${JSON.stringify(module)};
${before}
const registry = await createRegistry({ directory: ${JSON.stringify(directory)}, ${options} });
process.stdout.write(registry.url + '\\n');
process.on('SIGTERM', () => void registry.close());
`,
  );
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(place, { recursive: true, force: true });
  });
  const [line] = (await Promise.race([once(child.stdout, 'data'), failWhenEnded(ended)])) as [Buffer];
  // It has read its program; a test that kills a hundred of these need not sweep up behind them.
  await rm(place, { recursive: true, force: true });
  return { url: line.toString().trim(), child };
}
