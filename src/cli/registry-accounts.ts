import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { ROLES } from '../registry/identity/identity.ts';
import type { PolicyInput } from '../registry/policy.ts';
import { formatOutput, outputFormat, withOutput } from './_output.ts';
import { administer, withDirectory, type DirectoryOptions } from './_registry-directory.ts';
import { UsageError } from './exit.ts';

interface PasswordOptions extends DirectoryOptions {
  readonly passwordStdin?: boolean;
}

/** `dray registry user`: people. */
export function userCommand(): Command {
  const user = new Command('user').description('Manages users.');
  withPassword(user.command('create').description('Adds a user; a password that was made up is printed.'))
    .argument('<name>')
    .option('--admin', 'may do everything in the whole registry')
    .action(async (name: string, options: PasswordOptions & { admin?: boolean }) => {
      const { password, madeUp } = await passwordOf(options);
      process.exitCode = await administer(
        options,
        async ({ admin }) => {
          await admin.addUser(name, password, { admin: options.admin === true });
          process.stdout.write(madeUp ? `${password}\n` : `${name}\n`);
        },
        { create: true },
      );
    });
  withPassword(user.command('password').description('Changes a password and ends the user’s logins.'))
    .argument('<name>')
    .action(async (name: string, options: PasswordOptions) => {
      const { password, madeUp } = await passwordOf(options);
      process.exitCode = await administer(options, async ({ admin }) => {
        await admin.setPassword(name, password);
        process.stdout.write(madeUp ? `${password}\n` : `${name}\n`);
      });
    });
  withDirectory(
    user
      .command('admin')
      .description('Makes a user an administrator of the whole registry, or an ordinary one.'),
  )
    .argument('<name>')
    .option('--off', 'an ordinary user again')
    .action(async (name: string, options: DirectoryOptions & { off?: boolean }) => {
      process.exitCode = await administer(options, ({ admin }) => admin.setAdmin(name, options.off !== true));
    });
  withDirectory(user.command('remove').description('Removes a user.'))
    .argument('<name>')
    .action(async (name: string, options: DirectoryOptions) => {
      process.exitCode = await administer(options, async ({ admin }) => {
        await admin.removeUser(name);
        process.stdout.write(`${name}\n`);
      });
    });
  withOutput(withDirectory(user.command('list').description('Lists users.'))).action(
    async (options: DirectoryOptions & { output: string }) => {
      const format = outputFormat(options.output);
      process.exitCode = await administer(options, async ({ admin }) => {
        const list = await admin.listUsers();
        const rows = list.map((each) => [
          each.name,
          each.admin ? 'yes' : 'no',
          new Date(each.createdAt).toISOString(),
        ]);
        const table = [['NAME', 'ADMIN', 'CREATED'], ...rows];
        process.stdout.write(
          formatOutput({ data: list, names: list.map((each) => each.name), table }, format),
        );
      });
    },
  );
  return user;
}

/** `dray registry project`: repositories below a path, who may use them and what is decided about them. */
export function projectCommand(): Command {
  const project = new Command('project').description(
    'Manages projects: all repositories at or below a path.',
  );
  withDirectory(project.command('create').description('Adds a project.'))
    .argument('<name>')
    .option('--public', 'everybody may pull')
    .action(async (name: string, options: DirectoryOptions & { public?: boolean }) => {
      process.exitCode = await administer(
        options,
        async ({ admin }) => {
          await admin.createProject(name, { public: options.public === true });
          process.stdout.write(`${name}\n`);
        },
        { create: true },
      );
    });
  for (const [verb, isPublic, says] of [
    ['public', true, 'Lets everybody pull from a project.'],
    ['private', false, 'Lets only members pull from a project.'],
  ] as const) {
    withDirectory(project.command(verb).description(says))
      .argument('<name>')
      .action(async (name: string, options: DirectoryOptions) => {
        process.exitCode = await administer(options, ({ admin }) => admin.setPublic(name, isPublic));
      });
  }
  withDirectory(project.command('grant').description('Gives an account a role in place of the one it had.'))
    .argument('<project>')
    .argument('<account>')
    .argument('<role>', ROLES.join(', '))
    .action(async (name: string, account: string, text: string, options: DirectoryOptions) => {
      const role = ROLES.find((each) => each === text);
      if (role === undefined) throw new UsageError(`unknown role "${text}": there are ${ROLES.join(', ')}`);
      process.exitCode = await administer(options, ({ admin }) => admin.grantRole(name, account, role));
    });
  withDirectory(project.command('revoke').description('Takes an account’s role away.'))
    .argument('<project>')
    .argument('<account>')
    .action(async (name: string, account: string, options: DirectoryOptions) => {
      process.exitCode = await administer(options, ({ admin }) => admin.revokeRole(name, account));
    });
  withDirectory(project.command('policy').description('Decides about immutable tags, quota and retention.'))
    .argument('<project>')
    .argument('<file>', 'policy as YAML or JSON; - reads standard input')
    .action(async (name: string, file: string, options: DirectoryOptions) => {
      const { parse } = await import('yaml');
      const text = file === '-' ? await standardInput() : await readFile(file, 'utf8');
      const policy = parse(text) as PolicyInput;
      process.exitCode = await administer(options, ({ admin }) => admin.setPolicy(name, policy));
    });
  withDirectory(
    project.command('remove').description('Removes a project with its roles, not its repositories.'),
  )
    .argument('<name>')
    .action(async (name: string, options: DirectoryOptions) => {
      process.exitCode = await administer(options, ({ admin }) => admin.removeProject(name));
    });
  withOutput(withDirectory(project.command('list').description('Lists projects.'))).action(
    async (options: DirectoryOptions & { output: string }) => {
      const format = outputFormat(options.output);
      process.exitCode = await administer(options, async ({ admin }) => {
        const list = await Promise.all(
          (await admin.listProjects()).map(async (each) => ({
            ...each,
            members: await admin.listMembers(each.name),
          })),
        );
        const rows = list.map((each) => [
          each.name,
          each.public ? 'yes' : 'no',
          each.members.map(({ account, role }) => `${account} (${role})`).join(', ') || '-',
        ]);
        const table = [['NAME', 'PUBLIC', 'MEMBERS'], ...rows];
        process.stdout.write(
          formatOutput({ data: list, names: list.map((each) => each.name), table }, format),
        );
      });
    },
  );
  return project;
}

function withPassword(command: Command): Command {
  return withDirectory(command).option(
    '--password-stdin',
    'read the password from standard input (default: make one up and print it)',
  );
}

async function passwordOf(options: PasswordOptions): Promise<{ password: string; madeUp: boolean }> {
  if (options.passwordStdin !== true)
    return { password: randomBytes(18).toString('base64url'), madeUp: true };
  return { password: (await standardInput()).replace(/\r?\n$/, ''), madeUp: false };
}

async function standardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
