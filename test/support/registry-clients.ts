import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** What a program said. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A directory for one test's clients, with their storage and credentials apart from the machine's. */
export interface ClientDirectory {
  readonly path: string;
  readonly authFile: string;
  run(program: string, ...args: readonly string[]): Promise<Outcome>;
  /** As {@link run}, and throws what the program said when it fails. */
  must(program: string, ...args: readonly string[]): Promise<Outcome>;
  /** Options that keep podman's or buildah's storage in this directory. */
  readonly storage: readonly string[];
}

/** Longest run of one client. */
const PROGRAM_TIMEOUT_MS = 60_000;

/** Makes a directory for clients that is removed when the test ends. */
export async function clientDirectory(t: Pick<TestContext, 'after'>): Promise<ClientDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'dray-clients-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  const authFile = join(path, 'auth.json');
  const home = join(path, 'home');
  await mkdir(home);
  await writeFile(authFile, '{}');
  const run = (program: string, ...args: readonly string[]): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: home, REGISTRY_AUTH_FILE: authFile };
      const options = { env, timeout: PROGRAM_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 };
      execFile(program, args, options, (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number') reject(error);
        else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
      });
    });
  return {
    path,
    authFile,
    run,
    must: async (program, ...args) => {
      const outcome = await run(program, ...args);
      if (outcome.code !== 0)
        throw new Error(`${program} ${args.join(' ')}: ${outcome.stdout}${outcome.stderr}`);
      return outcome;
    },
    storage: ['--root', join(path, 'storage'), '--runroot', join(path, 'run'), '--storage-driver', 'vfs'],
  };
}

/** Makes a small image with buildah and returns its name in local storage. `content` makes its layer unlike others. */
export async function buildImage(
  client: ClientDirectory,
  name: string,
  content: string,
  arch = 'amd64',
): Promise<string> {
  const file = join(client.path, `${name}-content`);
  await writeFile(file, content);
  const { stdout } = await client.must('buildah', ...client.storage, 'from', '--arch', arch, 'scratch');
  const container = stdout.trim();
  await client.must('buildah', ...client.storage, 'copy', container, file, '/content');
  await client.must('buildah', ...client.storage, 'config', '--arch', arch, container);
  await client.must('buildah', ...client.storage, 'commit', '--rm', container, `localhost/${name}`);
  return `localhost/${name}`;
}
