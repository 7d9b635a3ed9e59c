#!/usr/bin/env node
// The launcher: plain JavaScript that any Node since 18 can read. It answers --version by itself, finds the Node that
// the package brings along when this one is too old, and then hands over to the program.
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MINIMUM_MAJOR = 24;
const PLUGINS = new Set(['ecr', 'gcr', 'acr']);
const UNPACKERS = new Set(['pull', 'load']);
const here = new URL('..', import.meta.url);
const args = process.argv.slice(2);

if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  const { version } = JSON.parse(readFileSync(new URL('package.json', here), 'utf8'));
  process.stdout.write(`dray ${version}\n`);
} else if (Number.parseInt(process.versions.node, 10) >= MINIMUM_MAJOR) {
  const plugin = await pluginAskedFor();
  if (plugin !== undefined) await runPlugin(plugin.name, plugin.args);
  else await runCommandLine();
} else {
  await runWithBundledNode();
}

// The kubelet calls a plug-in by a file name, which is then a link to this file; people write `credential-provider ecr`.
async function pluginAskedFor() {
  if (args[0] === 'credential-provider' && PLUGINS.has(args[1]))
    return { name: args[1], args: args.slice(2) };
  const program = basename(process.argv[1] ?? '');
  if (program === 'dray' || program === 'dray.js') return undefined;
  const { cloudPluginFor } = await load('credentials/cloud/plugin-names');
  const name = cloudPluginFor(program);
  return name === undefined ? undefined : { name, args };
}

// Without the compile cache: a plug-in starts in an environment of the kubelet's making, often without a home.
async function runPlugin(name, pluginArgs) {
  const plugin = await load('cli/run-plugin');
  process.exitCode = await plugin.runPlugin(name, pluginArgs);
}

async function runCommandLine() {
  const { enableCompileCache } = await import('node:module');
  const cache = compileCacheDirectory();
  if (cache !== undefined) enableCompileCache?.(cache);
  if (UNPACKERS.has(args[0]) && args.length > 1 && !args.includes('--help')) {
    // Threads start while this one loads the program.
    const { startThreadsAhead } = await load('archive/unpack-threads');
    startThreadsAhead();
  }
  const { main } = await load('cli/main');
  await main(args);
}

// Compiled code is code: it is kept where only this user writes, not in the shared directory that Node would take.
function compileCacheDirectory() {
  const { XDG_CACHE_HOME, HOME, NODE_COMPILE_CACHE } = process.env;
  if (NODE_COMPILE_CACHE) return NODE_COMPILE_CACHE;
  const base = XDG_CACHE_HOME || (HOME ? join(HOME, '.cache') : undefined);
  return base === undefined ? undefined : join(base, 'drayage', 'compiled');
}

// Sources run as they are in a checkout; a published package holds only their JavaScript.
function load(module) {
  const source = new URL(`src/${module}.ts`, here);
  return import(existsSync(source) ? source.href : new URL(`dist/${module}.js`, here).href);
}

async function runWithBundledNode() {
  const { createRequire } = await import('node:module');
  const { spawn } = await import('node:child_process');
  const name = `node-${process.platform}-${process.arch}`;
  let binary;
  try {
    binary = createRequire(import.meta.url).resolve(`${name}/bin/node`);
  } catch {
    process.stderr.write(
      `dray: Node ${MINIMUM_MAJOR} or newer is needed, this is ${process.version}, and no bundled one (${name}) is installed: ` +
        `install Node ${MINIMUM_MAJOR}, or run npm ci again with optional dependencies\n`,
    );
    process.exit(2);
  }
  const child = spawn(binary, [process.argv[1] ?? fileURLToPath(import.meta.url), ...args], {
    stdio: 'inherit',
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'])
    process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 2);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
