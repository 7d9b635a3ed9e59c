import type { ImageRunConfig } from './container-image.ts';
import { RuntimeError } from './runtime-error.ts';
import type { ContainerConfig } from './runtime-service.ts';
import type { ResolvedUser } from './user.ts';

/** Search path of a process whose image names none. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What is executed inside a container. */
export interface ProcessSpec {
  readonly args: readonly string[];
  /** Each `NAME=value`, one entry a name. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: ResolvedUser;
}

/**
 * Joins what the Pod asks for with what the image says: a command replaces entry point *and* arguments of the image,
 * arguments alone replace the image's; the Pod's environment wins over the image's.
 *
 * @see CRI v1, ContainerConfig, "command" and "args"
 */
export function processSpec(
  config: Pick<ContainerConfig, 'command' | 'args' | 'env' | 'workingDir' | 'name'>,
  image: ImageRunConfig,
  user: ResolvedUser,
  hostname: string,
): ProcessSpec {
  const args =
    config.command.length > 0
      ? [...config.command, ...config.args]
      : [...(image.Entrypoint ?? []), ...(config.args.length > 0 ? config.args : (image.Cmd ?? []))];
  if (args.length === 0) {
    throw new RuntimeError('INVALID', 'failed to generate container spec: no command specified');
  }
  const env = new Map<string, string>([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', hostname],
  ]);
  for (const line of image.Env ?? []) {
    const split = line.indexOf('=');
    if (split > 0) env.set(line.slice(0, split), line.slice(split + 1));
  }
  for (const { key, value } of config.env) env.set(key, value);
  if (!env.has('HOME')) env.set('HOME', user.home);
  const cwd = config.workingDir !== '' ? config.workingDir : (image.WorkingDir ?? '');
  return {
    args,
    env: [...env].map(([key, value]) => `${key}=${value}`),
    cwd: cwd === '' ? '/' : cwd,
    user,
  };
}
