import { join } from 'node:path';
import { Command } from 'commander';
import { stringify } from 'yaml';
import { systemClock } from '../base/clock.ts';
import { isSystemError } from '../base/coded-error.ts';
import { KubeconfigError, loadKubeconfig, type ClientConfig } from '../kube/client/kubeconfig.ts';
import {
  changeKubeconfig,
  mergeEntry,
  removeEntry,
  serverOfEntry,
  usualKubeconfig,
  type KubeconfigEntry,
} from '../kube/client/merge-kubeconfig.ts';
import { SYSTEM_CONTEXT } from '../daemon/kubeconfig.ts';
import { Pki } from '../daemon/pki.ts';
import { plainKubeconfigPath } from '../daemon/plain-access.ts';
import { defaultRootPath } from '../daemon/state-root.ts';
import { interruptible } from './_interruptible.ts';
import { withRoot } from './_options.ts';
import { EXIT, UsageError } from './exit.ts';

interface KubeconfigOptions {
  readonly root?: string;
  readonly name: string;
  readonly plain?: boolean;
  readonly user?: string;
  readonly group?: readonly string[];
  readonly merge?: boolean | string;
  readonly use?: boolean;
  readonly remove?: boolean;
}

export function command(): Command {
  const collect = (value: string, earlier: readonly string[] | undefined): string[] => [
    ...(earlier ?? []),
    value,
  ];
  return withRoot(
    new Command()
      .description(
        'Prints how to reach the API that `dray up` serves, or merges it into a kubeconfig; for the administrator, or for a user of any name.',
      )
      .option('--name <name>', 'name of cluster, user and context', SYSTEM_CONTEXT)
      .option('--user <name>', 'a user of this name, with a certificate of its own, valid for a year')
      .option('--group <name>', 'with --user: a group the user belongs to; may be repeated', collect)
      .option('--plain', 'for the API without TLS that `dray up --api-plain-port` serves')
      .option(
        '--merge [file]',
        'put it into a kubeconfig (default: $KUBECONFIG, else ~/.kube/config); the rest stays',
      )
      .option('--use', 'with --merge: make it the current context')
      .option('--remove', 'with --merge: take the entry out again'),
  ).action(async (options: KubeconfigOptions) => {
    await run(options);
    process.exitCode = EXIT.ok;
  });
}

async function run(options: KubeconfigOptions): Promise<void> {
  const { merge, name, remove = false, use = false } = options;
  if (merge === undefined && (use || remove))
    throw new UsageError(`${use ? '--use' : '--remove'} goes with --merge`);
  if (remove && use) throw new UsageError('--use and --remove exclude each other');
  if (options.group !== undefined && options.user === undefined)
    throw new UsageError('--group goes with --user');
  if (options.user === '' || options.group?.includes('') === true || name === '')
    throw new UsageError('a name of no letters names nobody');
  if (options.plain === true && options.user !== undefined)
    throw new UsageError('--plain and --user exclude each other: a certificate needs TLS');
  if (merge === undefined) {
    process.stdout.write(textOf(await entryOf(options)));
    return;
  }
  const path = typeof merge === 'string' ? merge : await usualKubeconfig(process.env);
  const entry = remove ? undefined : await entryOf(options);
  let before: string | undefined;
  await changeKubeconfig(
    path,
    (text) => {
      if (entry === undefined) return removeEntry(text ?? '', name);
      before = serverOfEntry(text, name);
      return mergeEntry(text, entry, use);
    },
    systemClock,
    interruptible(),
  );
  const what = entry === undefined ? `Removed "${name}" from` : `Merged "${name}" into`;
  process.stderr.write(`${what} ${path}\n`);
  if (before !== undefined && before !== entry?.cluster['server'])
    process.stderr.write(`  it led to ${before} before; --name keeps both\n`);
  if (entry !== undefined) process.stderr.write(`  kubectl --context ${name} get pods -A\n`);
}

async function entryOf(options: KubeconfigOptions): Promise<KubeconfigEntry> {
  const root = options.root ?? defaultRootPath();
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  if (options.plain === true) {
    const { server } = await administrator(plainKubeconfigPath(root), undefined);
    return { name: options.name, cluster: { server }, user: {} };
  }
  const admin = await administrator(join(root, 'kubeconfig'), SYSTEM_CONTEXT);
  const pair =
    options.user === undefined
      ? { cert: admin.cert ?? '', key: admin.key ?? '' }
      : await (await Pki.open(join(root, 'pki'))).sign(options.user, options.group ?? []);
  return {
    name: options.name,
    cluster: { server: admin.server, 'certificate-authority-data': base64(admin.ca ?? '') },
    user: { 'client-certificate-data': base64(pair.cert), 'client-key-data': base64(pair.key) },
  };
}

/** One of the administrator's own kubeconfigs, which every start of `dray up` brings up to date. */
async function administrator(path: string, context: string | undefined): Promise<ClientConfig> {
  try {
    return await loadKubeconfig(path, context);
  } catch (error) {
    const isAbsent = error instanceof KubeconfigError && isSystemError(error.cause, 'ENOENT');
    if (isAbsent)
      throw new UsageError(
        `there is no "${path}": start "dray up" (for --plain with --api-plain-port), or name its directory with --root`,
      );
    throw error;
  }
}

function textOf({ name, cluster, user }: KubeconfigEntry): string {
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': name,
      clusters: [{ name, cluster }],
      users: [{ name, user }],
      contexts: [{ name, context: { cluster: name, user: name } }],
      preferences: {},
    },
    { lineWidth: 0 },
  );
}
