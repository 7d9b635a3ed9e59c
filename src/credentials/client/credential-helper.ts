import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import { CredentialError } from '../credential-error.ts';
import { goJsonStringify } from '../docker-config.ts';
import { redactOutput } from '../redact-output.ts';

/** User name under which a helper keeps an identity token (rule 6.27). */
export const TOKEN_USER = '<token>';

/** What a helper prints when it knows nothing of a server; no error (rule 6.27). */
const NOT_FOUND = 'credentials not found in native keychain';

/** A helper may ask the person for a passphrase: it gets time for that. */
const TIMEOUT_MS = 5 * 60_000;

const MAX_OUTPUT_BYTES = 1 << 20;

/** Most of a failing helper's output that a message shows. */
const MAX_SHOWN = 4096;

export interface HelperCredential {
  readonly username: string;
  readonly secret: string;
}

/** One `docker-credential-<name>` program (rule 6.27). */
export class CredentialHelper {
  readonly program: string;
  readonly #environment: NodeJS.ProcessEnv;

  /** @throws CredentialError `HELPER_FAILED` for a name that would lead out of PATH */
  constructor(name: string, environment: NodeJS.ProcessEnv) {
    if (!/^[\w.-]+$/.test(name)) {
      throw new CredentialError(
        'HELPER_FAILED',
        `Cannot run credential helper ${JSON.stringify(name)}: the name is no plain file name`,
      );
    }
    this.program = `docker-credential-${name}`;
    this.#environment = environment;
  }

  /** Returns what is kept for a server; undefined when nothing is. */
  async get(server: string, signal: AbortSignal): Promise<HelperCredential | undefined> {
    const output = await this.#run('get', server, signal);
    if (output.failure !== undefined) {
      if (output.stdout.trim() === NOT_FOUND) return undefined;
      throw this.#failed('getting', output);
    }
    const answer = fieldsOf(output.stdout);
    const username = answer?.get('Username');
    const secret = answer?.get('Secret');
    if (typeof username !== 'string' || typeof secret !== 'string') {
      throw new CredentialError(
        'HELPER_FAILED',
        `Cannot read the answer of ${this.program}: it holds no user and secret`,
      );
    }
    return username === '' && secret === '' ? undefined : { username, secret };
  }

  async store(server: string, credential: HelperCredential, signal: AbortSignal): Promise<void> {
    const fields = { ServerURL: server, Username: credential.username, Secret: credential.secret };
    const output = await this.#run('store', `${goJsonStringify(fields)}\n`, signal, [credential.secret]);
    if (output.failure !== undefined) throw this.#failed('storing', output);
  }

  /** Forgets a server; one that is not known is no error. */
  async erase(server: string, signal: AbortSignal): Promise<void> {
    const output = await this.#run('erase', server, signal);
    if (output.failure !== undefined && output.stdout.trim() !== NOT_FOUND)
      throw this.#failed('erasing', output);
  }

  /** Returns the users by server. */
  async list(signal: AbortSignal): Promise<Map<string, string>> {
    const output = await this.#run('list', 'unused', signal);
    if (output.failure !== undefined) throw this.#failed('listing', output);
    const users = new Map<string, string>();
    for (const [server, user] of fieldsOf(output.stdout) ?? [])
      if (typeof user === 'string') users.set(server, user);
    return users;
  }

  #failed(doing: string, output: HelperOutput): CredentialError {
    const said = redactOutput(output.stdout.trim().slice(0, MAX_SHOWN), output.secrets);
    return new CredentialError(
      'HELPER_FAILED',
      `error ${doing} credentials - err: ${output.failure ?? ''}, out: \`${said}\``,
    );
  }

  async #run(
    action: string,
    stdin: string,
    signal: AbortSignal,
    secrets: readonly string[] = [],
  ): Promise<HelperOutput> {
    const child = spawn(this.program, [action], {
      env: this.#environment,
      stdio: ['pipe', 'pipe', 'inherit'],
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT_BYTES) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    // A helper may end without reading; its exit code tells.
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
    const failure = await new Promise<string | undefined>((resolve) => {
      child.once('error', (error) => resolve(this.#startFailure(error)));
      child.once('close', (code, by) => {
        resolve(
          by === null ? (code === 0 ? undefined : `exit status ${code ?? 'unknown'}`) : `signal: ${by}`,
        );
      });
    });
    signal.throwIfAborted();
    return { stdout: Buffer.concat(chunks).toString('utf8'), failure, secrets };
  }

  #startFailure(error: Error): string {
    if (isSystemError(error, 'ENOENT')) return `exec: "${this.program}": executable file not found in $PATH`;
    return messageOf(error);
  }
}

interface HelperOutput {
  readonly stdout: string;
  readonly failure: string | undefined;
  readonly secrets: readonly string[];
}

/**
 * Finds the store that docker would choose by itself (rule 6.28): `pass` where that program is, else `secretservice`, and
 * only when its helper is there.
 */
export async function defaultCredsStore(
  environment: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): Promise<string | undefined> {
  const named: Partial<Record<NodeJS.Platform, string>> = { darwin: 'osxkeychain', win32: 'wincred' };
  let name = named[platform];
  if (platform === 'linux') name = (await onPath('pass', environment)) ? 'pass' : 'secretservice';
  if (name === undefined) return undefined;
  return (await onPath(`docker-credential-${name}`, environment)) ? name : undefined;
}

async function onPath(program: string, environment: NodeJS.ProcessEnv): Promise<boolean> {
  for (const directory of (environment['PATH'] ?? '').split(delimiter)) {
    if (directory === '') continue;
    const found = await access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

function fieldsOf(stdout: string): Map<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(stdout);
    return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : undefined;
  } catch {
    // Not quoted: the answer may hold the secret.
    return undefined;
  }
}
