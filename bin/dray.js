#!/usr/bin/env node
// The launcher: plain JavaScript that any Node since 18 can read. It answers --version by itself, finds the Node that
// the package brings along when this one is too old, and then hands over to the program.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MINIMUM_MAJOR = 24;
const SERVERS = new Set(['up', 'registry', 'node']);
const here = new URL('..', import.meta.url);
const args = process.argv.slice(2);

if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  const { version } = JSON.parse(readFileSync(new URL('package.json', here), 'utf8'));
  process.stdout.write(`dray ${version}\n`);
} else if (Number.parseInt(process.versions.node, 10) >= MINIMUM_MAJOR) {
  const { enableCompileCache } = await import('node:module');
  enableCompileCache?.();
  if (SERVERS.has(args[0])) {
    // Servers live long and mostly wait: a small nursery costs them little time and saves tens of megabytes.
    const { setFlagsFromString } = await import('node:v8');
    setFlagsFromString('--max-semi-space-size=2');
  }
  // Sources run as they are in a checkout; a published package holds only their JavaScript.
  const source = new URL('src/cli/main.ts', here);
  const entry = existsSync(source) ? source : new URL('dist/cli/main.js', here);
  const { main } = await import(entry.href);
  await main(args);
} else {
  await runWithBundledNode();
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
  const child = spawn(binary, [fileURLToPath(import.meta.url), ...args], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'])
    process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 2);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
