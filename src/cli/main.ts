import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CodedError, messageOf } from '../base/coded-error.ts';
import { nearest } from '../base/nearest.ts';
import { candidatesFor, inOneLine, prepare, starting } from './_command-tree.ts';
import { AdvisedError, EXIT, textFor, UsageError } from './exit.ts';

/** One command: loaded only when it is called, so that a small question gets a quick answer. */
interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<{ command: (args: readonly string[]) => Command | Promise<Command> }>;
}

const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  up: { summary: 'run the whole system on this machine', load: () => import('./up.ts') },
  node: { summary: 'run a node alone', load: () => import('./node.ts') },
  kubeconfig: {
    summary: 'print or merge how to reach the API of `dray up`',
    load: () => import('./kubeconfig.ts'),
  },
  api: { summary: 'copy the API’s objects away and back', load: () => import('./api.ts') },
  explain: {
    summary: 'say what would happen to each image, and why, without doing it',
    load: () => import('./explain.ts'),
  },
  pull: { summary: 'pull an image into the store of this machine', load: () => import('./pull.ts') },
  push: { summary: 'push an image of the store of this machine', load: () => import('./push.ts') },
  images: { summary: 'list the images of this machine', load: () => import('./images.ts') },
  inspect: { summary: 'tell what an image is, here or at its registry', load: () => import('./inspect.ts') },
  tag: { summary: 'give an image another name', load: () => import('./tag.ts') },
  rmi: { summary: 'remove images, or names of them', load: () => import('./rmi.ts') },
  copy: {
    summary: 'copy images between registries, OCI layouts, archives and the store',
    load: () => import('./copy.ts'),
  },
  save: { summary: 'write images of the store to an archive', load: () => import('./save.ts') },
  load: { summary: 'take images from an archive or an OCI layout', load: () => import('./load.ts') },
  index: { summary: 'make images for several platforms one name', load: () => import('./index.ts') },
  pulls: { summary: 'tell how the last pulls went', load: () => import('./pulls.ts') },
  gc: { summary: 'remove what no image needs', load: () => import('./gc.ts') },
  registry: { summary: 'serve and manage a private registry', load: () => import('./registry.ts') },
  login: { summary: 'check a login with a registry and keep it', load: () => import('./login.ts') },
  logout: { summary: 'forget a login', load: () => import('./logout.ts') },
  'credential-provider': {
    summary: 'plug-ins of the kubelet for ECR, Artifact Registry and ACR',
    load: () => import('./credential-provider.ts'),
  },
  completion: {
    summary: 'print what a shell needs to complete commands',
    load: () => import('./completion.ts'),
  },
};

/** Node tells about features that are not final; users of this program need not hear it at every start. */
function hideExperimentalWarnings(): void {
  const emit = process.emitWarning.bind(process) as (...args: unknown[]) => void;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    const first = rest[0];
    const type = typeof first === 'object' && first !== null ? (first as { type?: string }).type : first;
    if (
      type === 'ExperimentalWarning' ||
      (warning instanceof Error && warning.name === 'ExperimentalWarning')
    )
      return;
    emit(warning, ...rest);
  };
}

/**
 * Runs the command line and sets the exit code.
 *
 * @param args arguments behind the program's name
 */
export async function main(args: readonly string[]): Promise<void> {
  hideExperimentalWarnings();
  try {
    process.exitCode = await run(args);
  } catch (error) {
    process.exitCode = report(error);
  }
}

async function run(args: readonly string[]): Promise<number> {
  const name = args[0];
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const about = name === 'help' ? args[1] : undefined;
    if (about !== undefined) return run([about, '--help']);
    process.stdout.write(helpText());
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  if (name === '--version' || name === '-V' || name === 'version') {
    process.stdout.write(`dray ${version()}\n`);
    return EXIT.ok;
  }
  if (name === '__complete') return await complete(args.slice(1));
  const entry = entryOf(name);
  if (entry === undefined) {
    const what = name.startsWith('-') ? 'option' : 'command';
    const meant = nearest(name, Object.keys(COMMANDS)).map((each) => `"${each}"`);
    throw new UsageError(
      `unknown ${what} "${name}"${meant.length === 0 ? '' : `: did you mean ${meant.join(' or ')}?`}; dray --help lists the commands`,
    );
  }
  const { command } = await entry.load();
  const made = await command(args.slice(1));
  await prepare(made.name(`dray ${name}`)).parseAsync(args.slice(1), { from: 'user' });
  return Number(process.exitCode ?? EXIT.ok);
}

function entryOf(name: string): CommandEntry | undefined {
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
}

/** Prints what may stand in the place of the last of these words, for a shell. */
async function complete(words: readonly string[]): Promise<number> {
  const [name = '', ...rest] = words;
  const entry = entryOf(name);
  const commands = Object.entries(COMMANDS).map(([word, { summary }]) => ({ word, about: summary }));
  let found = starting(commands, name);
  if (words.length > 1) {
    const made = await (await entry?.load())?.command(rest.slice(0, -1));
    found = made === undefined ? [] : candidatesFor(made, rest);
  }
  process.stdout.write(found.map(({ word, about }) => `${word}\t${about}\n`).join(''));
  return EXIT.ok;
}

/** Prints what went wrong and returns the exit code for it. */
function report(error: unknown): number {
  // Commander throws to leave: help was printed already, anything else is bad usage.
  if (
    error instanceof Error &&
    'exitCode' in error &&
    'code' in error &&
    String(error.code).startsWith('commander.')
  ) {
    if (error.exitCode === 0) return EXIT.ok;
    // The help itself says what was missing.
    if (error.code !== 'commander.help') process.stderr.write(`dray: ${inOneLine(error.message)}\n`);
    return EXIT.usage;
  }
  if (error instanceof UsageError) {
    process.stderr.write(`dray: ${error.message}\n`);
    return EXIT.usage;
  }
  if (error instanceof AdvisedError) {
    process.stderr.write(`dray: ${error.message}\ndray: ${error.advice}\n`);
    return EXIT.failure;
  }
  if (error instanceof CodedError) {
    process.stderr.write(`dray: ${textFor(error)}\n`);
    return EXIT.failure;
  }
  process.stderr.write(
    `dray: ${error instanceof Error && process.env['DRAYAGE_DEBUG'] !== undefined ? error.stack : messageOf(error)}\n`,
  );
  return EXIT.failure;
}

function helpText(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const lines = Object.entries(COMMANDS).map(([name, entry]) => `  ${name.padEnd(width)}  ${entry.summary}`);
  return `dray ${version()}: the image half of Kubernetes\n\nUsage: dray COMMAND [OPTIONS]\n\n${lines.join('\n')}\n\ndray COMMAND --help tells more. State is kept in $DRAYAGE_ROOT, else /var/lib/drayage (root) or ~/.local/share/drayage.\n`;
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
