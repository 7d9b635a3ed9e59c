import { Command } from 'commander';
import { eraseLogin } from '../credentials/client/save-login.ts';
import { interruptible } from './_interruptible.ts';
import { EXIT } from './exit.ts';
import { hostOf } from './login.ts';

export function command(): Command {
  return new Command()
    .description('Forgets a login, in the file and with its credential helper.')
    .argument('[server]', 'registry (default: Docker Hub)')
    .option('--authfile <file>', 'login file to use instead of docker’s own')
    .action(async (server: string | undefined, options: { authfile?: string }) => {
      const registry = hostOf(server ?? 'docker.io');
      const known = await eraseLogin(registry, {
        environment: process.env,
        ...(options.authfile === undefined ? {} : { authFile: options.authfile }),
        signal: interruptible(),
      });
      process.stdout.write(known ? `Removed the login for ${registry}\n` : `Not logged in to ${registry}\n`);
      process.exitCode = EXIT.ok;
    });
}
