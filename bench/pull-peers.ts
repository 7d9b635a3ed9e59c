import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { measure, type Measured } from './pull-measure.ts';

/** A foreign program tells nobody when it listens: it is asked this often, for so long. */
const ASK_MS = 25;
const ASK_TIMES = 400;

const DRAY = fileURLToPath(new URL('../bin/dray.js', import.meta.url));

/** Whether a program is on this machine. */
export function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

/** Something that was started and has to be stopped. */
export interface Started {
  readonly host: string;
  stop(): Promise<void>;
}

/** Serves this program's registry in a process of its own. */
export async function ownRegistry(directory: string): Promise<Started> {
  const script = fileURLToPath(new URL('pull-registry.ts', import.meta.url));
  const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [host] = (await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit').then(() => Promise.reject(new Error('Cannot measure: the registry did not start'))),
  ])) as [string];
  return { host, stop: () => end(child) };
}

/** Serves Debian's docker-registry. */
export async function dockerRegistry(directory: string): Promise<Started> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  server.close();
  await once(server, 'close');
  const config = `${directory}.yml`;
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${directory}}, delete: {enabled: true}}\nhttp: {addr: "${host}"}\n`,
  );
  const child = spawn('docker-registry', ['serve', config], {
    stdio: 'ignore',
    env: { PATH: process.env['PATH'], OTEL_TRACES_EXPORTER: 'none' },
  });
  await until(async () => (await fetch(`http://${host}/v2/`)).ok);
  return { host, stop: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

async function until(ready: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < ASK_TIMES; tries++) {
    try {
      if (await ready()) return;
    } catch {
      // Not listening yet.
    }
    await delay(ASK_MS);
  }
  throw new Error('Cannot measure: a program did not start');
}

/** One cold pull: everything it makes lies in `directory`, which is new. */
export type ColdPull = (image: string, directory: string) => Promise<Measured>;

export const drayPull: ColdPull = (image, directory) =>
  measure([
    process.execPath,
    DRAY,
    'pull',
    '--quiet',
    '--insecure-registry',
    hostOf(image),
    '--root',
    directory,
    image,
  ]);

/** As {@link drayPull}, and returns the delay of the event loop in milliseconds, 99th percentile. */
export async function drayLoopDelay(image: string, directory: string, file: string): Promise<Measured> {
  const probe = new URL('pull-loop-delay.ts', import.meta.url).href;
  return measure(
    [
      process.execPath,
      '--import',
      probe,
      DRAY,
      'pull',
      '--quiet',
      '--insecure-registry',
      hostOf(image),
      '--root',
      directory,
      image,
    ],
    { env: { DRAYAGE_BENCH_LOOP_DELAY: file } },
  );
}

export const drayCopy: ColdPull = (image, directory) =>
  measure([
    process.execPath,
    DRAY,
    'copy',
    '--quiet',
    '--insecure-registry',
    hostOf(image),
    image,
    `oci:${directory}:app`,
  ]);

export const skopeoCopy: ColdPull = (image, directory) =>
  measure([
    'skopeo',
    'copy',
    '--quiet',
    '--insecure-policy',
    '--src-tls-verify=false',
    `docker://${image}`,
    `oci:${directory}:app`,
  ]);

export const podmanPull: ColdPull = (image, directory) =>
  measure([
    'podman',
    `--root=${join(directory, 'root')}`,
    `--runroot=${join(directory, 'run')}`,
    '--storage-driver=overlay',
    '--events-backend=file',
    '--cgroup-manager=cgroupfs',
    'pull',
    '--quiet',
    '--tls-verify=false',
    image,
  ]);

/** Pulls into a containerd that was started for this pull alone. */
export const containerdPull: ColdPull = async (image, directory) => {
  mkdirSync(directory, { recursive: true });
  const at = (name: string): string => join(directory, name);
  writeFileSync(
    at('config.toml'),
    [
      'version = 2',
      `root = "${at('root')}"`,
      `state = "${at('state')}"`,
      'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
      `[grpc]\naddress = "${at('c.sock')}"`,
    ].join('\n'),
  );
  const daemon = spawn('containerd', ['--config', at('config.toml')], { stdio: 'ignore' });
  try {
    await until(() => existsSync(at('c.sock')));
    return await measure(
      ['ctr', '--address', at('c.sock'), '--namespace', 'bench', 'images', 'pull', '--plain-http', image],
      daemon.pid === undefined ? {} : { daemon: daemon.pid },
    );
  } finally {
    await end(daemon);
  }
};

/** Unpacks all layers with tar, side by side, from files: what is left of a pull without a registry and without checking. */
export function tarAll(layers: readonly string[], directory: string): Promise<Measured> {
  const each = layers.map(
    (layer, index) => `mkdir -p ${directory}/${index} && tar -xzf ${layer} -C ${directory}/${index} &`,
  );
  return measure(['bash', '-c', `${each.join('\n')}\nwait`]);
}

/** Removes what a pull left; what it mounted too, when it was killed. */
export function clear(directory: string): void {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${directory}/`));
  for (const point of points.toReversed()) spawnSync('umount', ['-l', point]);
  rmSync(directory, { recursive: true, force: true });
}

function hostOf(image: string): string {
  return image.slice(0, image.indexOf('/'));
}
