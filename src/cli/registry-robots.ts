import { Command } from 'commander';
import type { RobotCredential } from '../registry/admin/robot-administration.ts';
import { ROLES, type Role } from '../registry/identity/identity.ts';
import { interruptible } from './_interruptible.ts';
import { formatOutput, outputFormat, withOutput } from './_output.ts';
import { administer, registryHost, withDirectory, type DirectoryOptions } from './_registry-directory.ts';
import { applyPullSecret, pullSecret } from './_registry-pull-secret.ts';
import { UsageError } from './exit.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const FORMATS = ['text', 'json', 'name', 'secret'];

interface CredentialOptions extends DirectoryOptions {
  readonly output: string;
  readonly namespace?: string;
  readonly server?: string;
  readonly secretName?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly serviceAccount: string;
  readonly days?: string;
}

interface CreateOptions extends CredentialOptions {
  readonly project: string;
  readonly pull?: boolean;
  readonly push?: boolean;
  readonly role?: string;
}

/** `dray registry robot`: accounts of machines. */
export function robotCommand(): Command {
  const robot = new Command('robot').description(
    'Manages accounts of machines: one role in one project each.',
  );
  withCredentialOptions(robot.command('create'))
    .description(
      'Makes a robot and prints its secret, which is shown this once, or the Secret that a cluster pulls with.',
    )
    .argument('[name]', 'name within the project (default: pull, push or the role)')
    .requiredOption('--project <project>', 'project that it works in')
    .option('--pull', 'may pull (the default)')
    .option('--push', 'may pull and push')
    .option('--role <role>', `another role: ${ROLES.join(', ')}`)
    .action(async (name: string | undefined, options: CreateOptions) => {
      process.exitCode = await create(name, options);
    });
  withCredentialOptions(robot.command('rotate'))
    .description(
      'Exchanges the secret of a robot; the old one stays good meanwhile, so that no running node fails.',
    )
    .argument('<robot>', 'its full name: robot.PROJECT.NAME')
    .option('--overlap-hours <hours>', 'how long the old secret stays good', '24')
    .action(async (name: string, options: CredentialOptions & { overlapHours: string }) => {
      const overlapMs = positive(options.overlapHours, '--overlap-hours', 0) * HOUR_MS;
      process.exitCode = await administer(options, async ({ robots }) => {
        const plan = await planHandOver(options);
        const fresh = await robots.rotate(name, { overlapMs, ...lifetime(options) });
        try {
          await handOver(fresh, options, plan);
        } catch (error) {
          // Exchanged it is, and nobody else has it.
          process.stderr.write(
            'The secret was exchanged but not handed over. It is shown here, this once.\n',
          );
          process.stdout.write(`${fresh.name}\n${fresh.secret}\n`);
          throw error;
        }
      });
    });
  withOutput(withDirectory(robot.command('list').description('Lists robots.')))
    .option('--project <project>', 'only of this project')
    .action(async (options: DirectoryOptions & { output: string; project?: string }) => {
      const format = outputFormat(options.output);
      process.exitCode = await administer(options, async ({ robots }) => {
        const list = await robots.list(options.project);
        const time = (at: number | undefined): string =>
          at === undefined ? '-' : new Date(at).toISOString();
        const output = {
          data: list,
          names: list.map((each) => each.name),
          table: [
            ['NAME', 'PROJECT', 'ROLE', 'ROTATED', 'EXPIRES', 'OLD SECRET UNTIL'],
            ...list.map((each) => [
              each.name,
              each.project,
              each.role,
              time(each.rotatedAt),
              time(each.expiresAt),
              time(each.overlapUntil),
            ]),
          ],
        };
        process.stdout.write(formatOutput(output, format));
      });
    });
  withDirectory(robot.command('remove').description('Removes a robot; its secrets are good no longer.'))
    .argument('<robot>', 'its full name: robot.PROJECT.NAME')
    .action(async (name: string, options: DirectoryOptions) => {
      process.exitCode = await administer(options, async ({ robots }) => {
        await robots.remove(name);
        process.stdout.write(`${name}\n`);
      });
    });
  return robot;
}

function withCredentialOptions(command: Command): Command {
  return withDirectory(command)
    .option(
      '-o, --output <format>',
      `one of ${FORMATS.join(', ')}; secret is a Kubernetes Secret as YAML`,
      'text',
    )
    .option('-n, --namespace <namespace>', 'namespace of the Secret')
    .option('--server <host>', 'registry as image names begin, such as registry.example:5000')
    .option('--secret-name <name>', 'name of the Secret (default: the robot’s)')
    .option('--kubeconfig <file>', 'apply the Secret to this cluster and link it with a ServiceAccount')
    .option('--context <name>', 'context of the kubeconfig (default: its current one)')
    .option('--service-account <name>', 'ServiceAccount to link it with', 'default')
    .option(
      '--days <days>',
      'how long the secret is good (default: for ever; exchanged: as long as the old one)',
    );
}

async function create(name: string | undefined, options: CreateOptions): Promise<number> {
  const role = roleOf(options);
  const local = name ?? (role === 'guest' ? 'pull' : role === 'developer' ? 'push' : role);
  return administer(options, async ({ robots }) => {
    // What can be refused is refused before there is a robot.
    const plan = await planHandOver(options);
    const robot = await robots.create(options.project, local, role, lifetime(options));
    try {
      await handOver(robot, options, plan);
    } catch (error) {
      // Nobody has seen its secret: under the same name it can be made again.
      await robots.remove(robot.name);
      throw error;
    }
  });
}

function roleOf(options: CreateOptions): Role {
  if (options.role !== undefined) {
    if (options.pull === true || options.push === true)
      throw new UsageError('--role, --pull and --push exclude each other');
    const found = ROLES.find((role) => role === options.role);
    if (found === undefined)
      throw new UsageError(`unknown role "${options.role}": there are ${ROLES.join(', ')}`);
    return found;
  }
  return options.push === true ? 'developer' : 'guest';
}

/** What is known of a hand-over before there is a secret: the server, when a Secret will name it. */
async function planHandOver(options: CredentialOptions): Promise<{ server: string | undefined }> {
  if (!FORMATS.includes(options.output))
    throw new UsageError(`unknown output format "${options.output}": there are ${FORMATS.join(', ')}`);
  const wanted = options.output === 'secret' || options.kubeconfig !== undefined;
  return { server: wanted ? await registryHost(options) : undefined };
}

async function handOver(
  robot: RobotCredential,
  options: CredentialOptions,
  { server }: { server: string | undefined },
): Promise<void> {
  const { namespace, kubeconfig, context, serviceAccount, secretName } = options;
  if (server !== undefined && kubeconfig !== undefined) {
    const target = { kubeconfig, context, namespace: namespace ?? 'default', serviceAccount };
    const secret = await pullSecret(robot, { server, namespace: target.namespace, secretName });
    await applyPullSecret(secret, target, interruptible());
    process.stderr.write(
      `Secret ${secret.metadata.name} applied in namespace ${target.namespace} and linked with ServiceAccount ${serviceAccount}.\n`,
    );
    // The cluster has it: a terminal's history need not.
    if (options.output === 'text') {
      process.stdout.write(`${robot.name}\n`);
      return;
    }
  }
  if (options.output === 'secret' && server !== undefined) {
    const { stringify } = await import('yaml');
    process.stdout.write(
      stringify(await pullSecret(robot, { server, namespace, secretName }), { lineWidth: 0 }),
    );
  } else if (options.output === 'json') process.stdout.write(`${JSON.stringify(robot, undefined, 2)}\n`);
  else if (options.output === 'name') process.stdout.write(`${robot.name}\n`);
  else process.stdout.write(`${robot.name}\n${robot.secret}\n`);
}

function lifetime(options: CredentialOptions): { lifetimeMs?: number } {
  return options.days === undefined ? {} : { lifetimeMs: positive(options.days, '--days', 1) * DAY_MS };
}

/** @throws UsageError */
function positive(text: string, option: string, least: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < least)
    throw new UsageError(`${option} "${text}" is no number of ${least} or more`);
  return value;
}
