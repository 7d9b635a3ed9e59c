import { Command } from 'commander';
import { saveLogin } from '../credentials/client/save-login.ts';
import { checkLogin } from '../remote/check-login.ts';
import { RemoteError } from '../remote/remote-error.ts';
import { openRemote, type RemoteOptions } from './_client-remote.ts';
import { interruptible } from './_interruptible.ts';
import { withRemoteOptions } from './_options.ts';
import { registryAdvice } from './_registry-advice.ts';
import { EXIT, UsageError } from './exit.ts';

interface LoginOptions extends RemoteOptions {
  readonly username?: string;
  readonly password?: string;
  readonly passwordStdin?: boolean;
}

export function command(): Command {
  return withRemoteOptions(
    new Command()
      .description(
        'Checks a user name and password with a registry and keeps them where docker, podman and a node find them.',
      )
      .argument('[server]', 'registry, such as registry.example:5000 (default: Docker Hub)')
      .option('-u, --username <name>', 'user name (asked for when absent)')
      .option(
        '-p, --password <password>',
        'password; others can see it in the list of processes: better --password-stdin',
      )
      .option('--password-stdin', 'read the password from standard input'),
  ).action(async (server: string | undefined, options: LoginOptions) => {
    process.exitCode = await login(server ?? 'docker.io', options);
  });
}

async function login(server: string, options: LoginOptions): Promise<number> {
  const registry = hostOf(server);
  const signal = interruptible();
  if (options.passwordStdin === true && options.username === undefined)
    throw new UsageError('--password-stdin needs --username');
  const username = options.username ?? (await ask('Username', false));
  if (username === '') throw new UsageError('a user name is needed: name it with -u');
  const password = await passwordOf(options);
  if (password === '') throw new UsageError('the password is empty');
  const remote = openRemote(options);
  try {
    await checkLogin(remote, registry, { name: `user ${username}`, username, password }, signal);
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error;
    const refused = error.code === 'UNAUTHORIZED' || error.code === 'DENIED';
    const what = refused ? 'the registry refuses this user name with this password' : error.message;
    const lines = [
      `Cannot log in to ${JSON.stringify(registry)} as ${JSON.stringify(username)}: ${what}; nothing was saved`,
      refused ? `its answer was: ${error.message.replaceAll('\n', ', ')}` : registryAdvice(error, registry),
    ];
    for (const line of lines) if (line !== undefined) process.stderr.write(`dray: ${line}\n`);
    return EXIT.failure;
  } finally {
    await remote.close();
  }
  const saved = await saveLogin(
    { server: registry, username, password },
    {
      environment: process.env,
      ...(options.authfile === undefined ? {} : { authFile: options.authfile }),
      signal,
    },
  );
  if (saved.helper === undefined) {
    process.stderr.write(
      `The password lies in ${saved.path}, encoded but not encrypted; a credential helper would keep it better.\n`,
    );
  }
  process.stdout.write('Login Succeeded\n');
  return EXIT.ok;
}

/** People paste URLs; a registry is a host and perhaps a port. */
export function hostOf(server: string): string {
  const host = server.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
  if (host === '' || /[\s/@]/.test(host))
    throw new UsageError(
      `${JSON.stringify(server)} is no registry: expected a host, such as registry.example:5000`,
    );
  return host === 'index.docker.io' ? 'docker.io' : host;
}

async function passwordOf(options: LoginOptions): Promise<string> {
  if (options.passwordStdin === true) {
    if (options.password !== undefined)
      throw new UsageError('--password and --password-stdin exclude each other');
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    // What `echo` or an editor adds at the end is not part of a password.
    return Buffer.concat(chunks)
      .toString('utf8')
      .replace(/\r?\n$/, '');
  }
  return options.password ?? ask('Password', true);
}

async function ask(what: string, hidden: boolean): Promise<string> {
  if (!process.stdin.isTTY)
    throw new UsageError(
      `there is no terminal to ask for the ${what.toLowerCase()}: use --username and --password-stdin`,
    );
  const prompts = await import('@clack/prompts');
  const answer = await (hidden ? prompts.password({ message: what }) : prompts.text({ message: what }));
  if (prompts.isCancel(answer)) throw new UsageError('the login was cancelled');
  return answer;
}
