import { readFileSync } from 'node:fs';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import { CredentialError } from '../credential-error.ts';
import { cloudFetch } from './cloud-fetch.ts';
import type { CloudContext } from './cloud-request.ts';
import { printPluginResponse, readPluginRequest, type PluginResponse } from './plugin-io.ts';
import type { CloudPlugin } from './plugin-names.ts';

/** The process a plug-in runs as. */
export interface PluginProcess {
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Largest request read: a repository name and a token. */
const MAX_REQUEST_BYTES = 1 << 20;

/**
 * Runs a plug-in as a node does: request on stdin, answer on stdout, exit code returned (0, or 1 with the reason on stderr).
 * Takes the flags of the plug-in that it stands for; loads only that plug-in.
 */
export async function runCloudPlugin(plugin: CloudPlugin, run: PluginProcess): Promise<number> {
  const context: CloudContext = {
    environment: run.environment,
    fetch: cloudFetch(run.environment),
    clock: systemClock,
    signal: run.signal,
    // Synchronous on purpose: one small file, and node:fs/promises would have to be loaded first.
    readFile: async (path) => readFileSync(path, 'utf8'),
    warn: (message) => run.stderr(`${message}\n`),
  };
  try {
    const answer = await PLUGINS[plugin](run.arguments, run.stdin, context);
    run.stdout(printPluginResponse(answer.apiVersion, answer.response));
    return 0;
  } catch (error) {
    run.stderr(`${messageOf(error)}\n`);
    return 1;
  }
}

type Answer = { apiVersion: string; response: PluginResponse };
type Plugin = (
  args: readonly string[],
  stdin: AsyncIterable<Uint8Array | string>,
  context: CloudContext,
) => Promise<Answer>;

const PLUGINS: Readonly<Record<CloudPlugin, Plugin>> = {
  ecr: async (args, stdin, context) => {
    readFlags(args, [], 0);
    const { ecrCredentials, ECR_PLUGIN_VERSIONS } = await import('./ecr.ts');
    const request = readPluginRequest(await readAll(stdin), ECR_PLUGIN_VERSIONS);
    return { apiVersion: request.apiVersion, response: await ecrCredentials(request, context) };
  },
  gcr: async (args, stdin, context) => {
    // The command name may be left out.
    const rest = args[0] === 'get-credentials' ? args.slice(1) : args;
    const { flags } = readFlags(rest, ['authFlow', 'identity-provider', 'project-id'], 0);
    const { gcrCredentials, GCR_AUTH_FLOWS, GCR_PLUGIN_VERSIONS } = await import('./gcr.ts');
    const authFlow = GCR_AUTH_FLOWS.find((flow) => flow === (flags.get('authFlow') ?? 'gcr'));
    if (authFlow === undefined)
      throw usage(
        `invalid value "${flags.get('authFlow') ?? ''}" for authFlow (must be one of [${GCR_AUTH_FLOWS.join(', ')}])`,
      );
    const identityProvider = flags.get('identity-provider');
    const projectId = flags.get('project-id');
    const request = readPluginRequest(await readAll(stdin), GCR_PLUGIN_VERSIONS);
    const options = {
      authFlow,
      ...(identityProvider !== undefined && { identityProvider }),
      ...(projectId !== undefined && { projectId }),
    };
    return { apiVersion: request.apiVersion, response: await gcrCredentials(request, options, context) };
  },
  acr: async (args, stdin, context) => {
    const { flags, positional } = readFlags(args, ['config', 'registry-mirror'], 1);
    const { acrCredentials, ACR_PLUGIN_VERSIONS, parseRegistryMirrors } = await import('./acr.ts');
    const configPath = positional[0] ?? flags.get('config') ?? '';
    if (configPath === '') throw usage('the path of azure.json is missing');
    const mirrors = parseRegistryMirrors(flags.get('registry-mirror') ?? '');
    const request = readPluginRequest(await readAll(stdin), ACR_PLUGIN_VERSIONS);
    return {
      apiVersion: request.apiVersion,
      response: await acrCredentials(request, { configPath, mirrors }, context),
    };
  },
};

/** Reads `--name=value`, `--name value` and one dash alike; `-v N`, the level of the log, is taken and has no effect. */
function readFlags(
  args: readonly string[],
  known: readonly string[],
  positionals: number,
): { flags: Map<string, string>; positional: string[] } {
  const flags = new Map<string, string>();
  const positional: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? '';
    const match = /^--?([A-Za-z][\w-]*)(?:=(.*))?$/s.exec(arg);
    if (match === null) {
      positional.push(arg);
      continue;
    }
    const name = match[1] ?? '';
    if (![...known, 'v', 'logtostderr'].includes(name)) throw usage(`unknown flag: --${name}`);
    const isSwitch = name === 'logtostderr';
    const value = match[2] ?? (isSwitch ? 'true' : args[++index]);
    if (value === undefined) throw usage(`flag needs an argument: --${name}`);
    flags.set(name, value);
  }
  if (positional.length > positionals) throw usage(`unknown argument "${positional[positionals] ?? ''}"`);
  return { flags, positional };
}

async function readAll(stdin: AsyncIterable<Uint8Array | string>): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MAX_REQUEST_BYTES) throw usage(`the request is longer than ${MAX_REQUEST_BYTES} bytes`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function usage(message: string): CredentialError {
  return new CredentialError('CLOUD_REFUSED', message);
}
