import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { pushTinyImage, tinyLayer } from '../node/real-image.ts';
import { tarOf } from '../support/tar-of.ts';
import { runDray } from '../support/run-dray.ts';
import { Kubectl } from '../support/kubectl.ts';
import { startUp, type RunningSystem } from '../support/running-system.ts';
import { OCI_MANIFEST, sha256, type ServedRegistry } from '../support/serve-registry.ts';
import { findKubectls } from '../support/tools.ts';

/** Path of a manifest as the documentation has it. */
export function manifestPath(name: string): string {
  return fileURLToPath(new URL(`manifests/${name}`, import.meta.url));
}

/** This machine's processor, as images name it. */
export const OWN_ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';
/** An archive ends with two empty blocks. */
const END_OF_TAR_BYTES = 1024;

/** How {@link MissionSystem.push} makes an image. */
export interface PushOptions {
  /** Default: this machine's. */
  readonly architecture?: string;
  /** A file by which the image differs from others. */
  readonly adds?: string;
  readonly to?: Pick<ServedRegistry, 'pushBlob' | 'pushManifest'>;
}

/** How {@link MissionSystem.runOnce} runs a Pod. */
export interface RunOnce {
  readonly namespace?: string;
  readonly policy?: 'Always' | 'IfNotPresent' | 'Never';
  /** Names of pull secrets. */
  readonly secrets?: readonly string[];
}

/** A running system that stands for the registries that the documentation's manifests name. */
export class MissionSystem {
  readonly root: string;
  readonly kubectl: Kubectl;
  #system: RunningSystem;
  #layer: Promise<Buffer> | undefined;

  private constructor(root: string, system: RunningSystem) {
    this.root = root;
    this.#system = system;
    this.kubectl = new Kubectl(findKubectls().at(-1) ?? '', system);
  }

  static async start(root: string, ...args: readonly string[]): Promise<MissionSystem> {
    const ports = ['--api-port', '0', '--registry-port', '0'];
    return new MissionSystem(root, await startUp(root, [...ports, ...args]));
  }

  /** The system as it runs now. */
  get system(): RunningSystem {
    return this.#system;
  }

  /** Stops the system and starts it on the same root, on the same ports, with other flags. */
  async restart(...args: readonly string[]): Promise<void> {
    await this.#system.stop();
    this.#system = await startUp(this.root, args);
  }

  /** Sends pulls of a registry that is far away to the one here, as an administrator does for a mirror within the firewall. */
  async standInFor(...hosts: readonly string[]): Promise<void> {
    const url = `https://${this.system.registry}`;
    for (const host of hosts) {
      const directory = join(this.root, 'certs.d', host);
      await mkdir(directory, { recursive: true });
      const ca = `ca = ${JSON.stringify(join(this.root, 'pki', 'ca.crt'))}\n`;
      const table = `[host."${url}"]\n${ca}forward_credentials = true\n`;
      await writeFile(join(directory, 'hosts.toml'), `server = ${JSON.stringify(url)}\n${ca}${table}`);
    }
  }

  /** Lets a registry be away: nobody listens where pulls of it go. */
  async cutOff(host: string): Promise<void> {
    const nobody = '"https://127.0.0.1:1"';
    await writeFile(join(this.root, 'certs.d', host, 'hosts.toml'), `server = ${nobody}\n[host.${nobody}]\n`);
  }

  /** Runs a command while the system runs, and expects success. */
  async dray(args: readonly string[], input = ''): Promise<string> {
    const outcome = await runDray(args, { input });
    if (outcome.code !== 0) throw new Error(`dray ${args.join(' ')}: ${outcome.stderr}`);
    return outcome.stdout;
  }

  /** Runs `dray registry …` on the registry of this system, while it serves. */
  registry(args: readonly string[], input = ''): Promise<string> {
    return this.dray(['registry', ...args, '--directory', join(this.root, 'registry')], input);
  }

  /** Writes a login file for the administrator and returns its path. */
  async adminLogin(): Promise<string> {
    const path = join(this.root, 'login.json');
    const auth = Buffer.from(`admin:${this.system.adminPassword}`).toString('base64');
    await writeFile(path, JSON.stringify({ auths: { [this.system.registry]: { auth } } }));
    return path;
  }

  /** Pushes as the administrator. */
  pusher(): Pick<ServedRegistry, 'pushBlob' | 'pushManifest'> {
    const ca = readFileSync(join(this.root, 'pki', 'ca.crt'));
    const dispatcher = new Agent({ connect: { ca } });
    const authorization = `Basic ${Buffer.from(`admin:${this.system.adminPassword}`).toString('base64')}`;
    const send = async (
      method: 'POST' | 'PUT',
      path: string,
      type: string,
      body: string | Uint8Array,
    ): Promise<void> => {
      const headers = { authorization, 'content-type': type };
      const answer = await request(`https://${this.system.registry}${path}`, {
        method,
        headers,
        body,
        dispatcher,
      });
      const text = await answer.body.text();
      if (answer.statusCode !== 201) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    };
    return {
      pushBlob: async (repository, content) => {
        const digest = sha256(content);
        await send(
          'POST',
          `/v2/${repository}/blobs/uploads/?digest=${digest}`,
          'application/octet-stream',
          content,
        );
        return digest;
      },
      pushManifest: async (repository, reference, manifest) => {
        const body = JSON.stringify(manifest);
        const type = (manifest as { mediaType?: string }).mediaType ?? OCI_MANIFEST;
        await send('PUT', `/v2/${repository}/manifests/${reference}`, type, body);
        return sha256(body);
      },
    };
  }

  /** Returns what the manifest of the documentation says, with the shell's variables filled in. */
  async manifest(name: string, variables: Readonly<Record<string, string>> = {}): Promise<string> {
    const text = await readFile(manifestPath(name), 'utf8');
    return text.replaceAll(/\$([A-Z_]+)/g, (whole, variable: string) => variables[variable] ?? whole);
  }

  /** Pushes an image with a shell, to the registry of the system unless another is given. */
  async push(repository: string, tag: string, more: PushOptions = {}): Promise<string> {
    const layer = await (this.#layer ??= tinyLayer());
    const added = more.adds === undefined ? undefined : tarOf({ path: more.adds, content: 'yes' });
    const content =
      added === undefined ? layer : Buffer.concat([added.subarray(0, -END_OF_TAR_BYTES), layer]);
    const architecture = more.architecture ?? OWN_ARCHITECTURE;
    const { digest } = await pushTinyImage(more.to ?? this.pusher(), content, repository, tag, {
      architecture,
    });
    return digest;
  }

  /** Waits until a pull has failed for a Pod, and returns the event that says why. */
  async failedPull(pod: string): Promise<string> {
    await this.waitsFor(pod);
    const events = await this.events(pod);
    return events.find((event) => event.startsWith('Failed: Failed to pull image')) ?? events.join('\n');
  }

  /** Waits until a Pod of {@link runOnce} has done what it is for. */
  async succeeds(pod: string, namespace?: string): Promise<void> {
    assert.equal(await this.printed(pod, namespace), 'SUCCESS\n');
  }

  /** Waits until a Pod waits for this reason; the pause that follows ErrImagePull is seen a dozen seconds later. */
  waitsFor(pod: string, reason = 'ErrImagePull', namespace = 'default'): Promise<string> {
    const path = '{.status.containerStatuses[0].state.waiting.reason}';
    return this.waitFor(`pod/${pod}`, `jsonpath=${path}=${reason}`, namespace);
  }

  /** Waits until a Pod that runs once has ended well, and returns what it printed. */
  async printed(pod: string, namespace = 'default'): Promise<string> {
    await this.waitFor(`pod/${pod}`, 'jsonpath={.status.phase}=Succeeded', namespace);
    return this.kubectl.run(['logs', pod, '-n', namespace]);
  }

  /** Waits as kubectl waits: one process that watches. */
  waitFor(object: string, condition: string, namespace = 'default'): Promise<string> {
    return this.kubectl.run(['wait', object, '-n', namespace, `--for=${condition}`, '--timeout=60s']);
  }

  /** Creates a namespace and waits for its account, without which no Pod can be made in it. */
  async namespace(name: string): Promise<void> {
    await this.kubectl.run(['create', 'namespace', name]);
    const account = ['get', 'serviceaccount', 'default', '-n', name, '-o', 'name', '--ignore-not-found'];
    await this.kubectl.until(account, (said) => said !== '');
  }

  /** Creates a Pod that runs once and prints `SUCCESS`. */
  async runOnce(name: string, image: string, more: RunOnce = {}): Promise<void> {
    const container = {
      name: 'c',
      image,
      command: ['/bin/sh', '-c', 'echo SUCCESS'],
      ...(more.policy === undefined ? {} : { imagePullPolicy: more.policy }),
    };
    const spec = {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      containers: [container],
      ...(more.secrets === undefined
        ? {}
        : { imagePullSecrets: more.secrets.map((each) => ({ name: each })) }),
    };
    const metadata = { name, namespace: more.namespace ?? 'default' };
    const pod = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
    await this.kubectl.run(['apply', '-f', '-'], pod);
  }

  /** Prints reasons and messages of the events about objects whose name begins so, oldest first. */
  async events(prefix: string, namespace = 'default'): Promise<string[]> {
    const text = await this.kubectl.run(['get', 'events', '-n', namespace, '-o', 'json']);
    const { items } = JSON.parse(text) as {
      items: {
        reason: string;
        message: string;
        involvedObject: { name: string };
        metadata: { resourceVersion: string };
      }[];
    };
    return items
      .filter(({ involvedObject }) => involvedObject.name.startsWith(prefix))
      .toSorted((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
      .map(({ reason, message }) => `${reason}: ${message}`);
  }
}
