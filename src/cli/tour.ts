import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFileStore, type FileStore } from '../content/file-store.ts';
import { CodedError, messageOf } from '../base/coded-error.ts';
import { dockerRegistrySecret } from '../credentials/docker-registry-secret.ts';
import { buildProgramImage, type ProgramImage } from '../daemon/program-image.ts';
import type { System } from '../daemon/system.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { ResourceType } from '../kube/client/kube-client.ts';
import { parseManifests } from '../kube/decode/parse-manifests.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { findResource } from '../kube/resources.ts';
import { pushImage } from '../pull/push-image.ts';
import { waitForObjects } from './_wait-for-objects.ts';
import type { Terminal } from './terminal.ts';

export class TourError extends CodedError<'UNEXPECTED'> {}

const NAMESPACE = 'default';
const SECRET = 'regcred';
const USER = 'alice';
const PROJECT = 'private';
/** The host that the examples name; on this machine it may be another port. */
const EXAMPLE_HOST = 'localhost:5000';
/** Longest wait for one step: a slow disk is no failure. */
const STEP_MS = 120_000;
const STEPS = 6;

const PODS = resource('', 'v1', 'pods');
const SECRETS = resource('', 'v1', 'secrets');
const EVENTS = resource('', 'v1', 'events');

interface Event extends KubeObject {
  involvedObject: { name: string; uid?: string };
  type: string;
  reason: string;
  message: string;
  count?: number;
}

/**
 * Runs the acceptance check on a running system, each step as a user would do it: a private image, a pull that fails without a
 * credential, a pull secret, the Pod `private-image-test-1` and its log `SUCCESS`. What an earlier run left is used or replaced.
 *
 * @throws TourError when the system answers otherwise than it must
 */
export async function runTour(system: System, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const tour = new Tour(system, terminal, signal);
  await tour.run();
}

class Tour {
  readonly #system: System;
  readonly #terminal: Terminal;
  readonly #signal: AbortSignal;
  #step = 0;

  constructor(system: System, terminal: Terminal, signal: AbortSignal) {
    this.#system = system;
    this.#terminal = terminal;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const { registry } = this.#system;
    const reference = `${registry.host}/private/echo:v1`;

    this.#title('Make a small image of this machine’s echo');
    const workshop = await openWorkshop(this.#system.rootPath);
    const image = await buildProgramImage('echo', workshop, this.#signal);
    this.#say(`${image.files} files, ${(image.bytes / 1e6).toFixed(1)} MB, for ${image.platform}`);

    this.#title(`Push it to the private registry as ${USER}`);
    const password = await this.#prepareUser();
    this.#command(`docker login ${registry.host} -u ${USER}`);
    this.#command(`docker push ${reference}`);
    const digest = await this.#push(reference, workshop, image, password);
    this.#say(`${reference}@${digest}`);

    this.#title('Pull it without a credential: that must fail');
    await this.#showRefusal(reference);

    this.#title('Create the pull secret');
    this.#command(
      `kubectl create secret docker-registry ${SECRET} --docker-server=${registry.host} --docker-username=${USER} --docker-password=…`,
    );
    await this.#createSecret(password);
    this.#say(`secret/${SECRET} created`);

    this.#title('Apply the Pod private-image-test-1, which uses it');
    const pod = await this.#apply('private-image-test-1.yaml', reference);
    const log = await this.#waitForLog(pod);
    await this.#showEvents(pod);

    this.#title('Read its log');
    this.#command('kubectl logs private-image-test-1');
    this.#terminal.line(`   ${this.#terminal.style('bold', log.trimEnd())}`);
    if (log.trim() !== 'SUCCESS')
      throw new TourError(
        'UNEXPECTED',
        `Cannot finish the tour: the log says ${JSON.stringify(log.trim())}, expected "SUCCESS"`,
      );
  }

  /** Makes the project and a user of its own with a new password: nothing of it needs to be written down. */
  async #prepareUser(): Promise<string> {
    const { admin } = this.#system.registry.registry;
    const password = randomBytes(12).toString('base64url');
    const users = await admin.listUsers();
    if (users.some((user) => user.name === USER)) await admin.setPassword(USER, password);
    else await admin.addUser(USER, password);
    const projects = await admin.listProjects();
    if (!projects.some((project) => project.name === PROJECT)) await admin.createProject(PROJECT);
    await admin.grantRole(PROJECT, USER, 'developer');
    return password;
  }

  async #push(
    reference: string,
    workshop: FileStore,
    image: ProgramImage,
    password: string,
  ): Promise<string> {
    const node = this.#system.nodes[0] ?? missingNode();
    const credential = { name: `user ${USER}`, username: USER, password };
    const pushed = await pushImage({
      remote: node.remote,
      content: workshop,
      reference,
      target: image.target,
      credentials: async () => credential,
      onProgress: (progress) =>
        this.#terminal.progress(`   ${progress.phase} ${progress.digest.slice(0, 19)}`),
      signal: this.#signal,
    });
    return pushed.digest;
  }

  async #showRefusal(reference: string): Promise<void> {
    const pod = await this.#apply('private-image-test-no-secret.yaml', reference);
    const wait = { client: this.#system.client, timeoutMs: STEP_MS, signal: this.#signal };
    const refused = await waitForObjects<Pod>({
      ...wait,
      type: PODS,
      namespace: pod.namespace,
      fieldSelector: `metadata.name=${pod.name}`,
      what: `Pod ${pod.name} waits with ErrImagePull`,
      done: (pods) => pods.some((each) => isRefused(each) || each.status?.phase !== 'Pending'),
    });
    if (!refused.some(isRefused)) {
      throw new TourError(
        'UNEXPECTED',
        `Cannot finish the tour: Pod ${pod.name} got a private image without a credential`,
      );
    }
    // The node tells of the pause at once in an event; the Pod's status follows with its next look at the Pod.
    await waitForObjects<Event>({
      ...wait,
      type: EVENTS,
      namespace: pod.namespace,
      fieldSelector: `involvedObject.uid=${pod.uid}`,
      what: `Pod ${pod.name} waits with ImagePullBackOff`,
      done: (events) => events.some((event) => event.message === 'Error: ImagePullBackOff'),
    });
    await this.#showEvents(pod);
    await this.#delete(PODS, pod.name);
  }

  async #createSecret(password: string): Promise<void> {
    await this.#delete(SECRETS, SECRET);
    const secret = await dockerRegistrySecret({
      name: SECRET,
      namespace: NAMESPACE,
      server: this.#system.registry.host,
      username: USER,
      password,
    });
    await this.#system.client.create(SECRETS, secret, this.#signal);
  }

  /** Creates the Pod of an example, after removing what an earlier run left of it. */
  async #apply(file: string, reference: string): Promise<{ namespace: string; name: string; uid: string }> {
    const path = fileURLToPath(new URL(`../../examples/${file}`, import.meta.url));
    this.#command(
      `kubectl apply -f examples/${file}${reference.startsWith(EXAMPLE_HOST) ? '' : `   # with ${reference}`}`,
    );
    const text = (await readFile(path, 'utf8')).replaceAll(`${EXAMPLE_HOST}/private/echo:v1`, reference);
    const pod = parseManifests(text)[0] ?? missingNode();
    await this.#delete(PODS, pod.metadata.name);
    const created = await this.#system.client.create(
      PODS,
      { ...pod, metadata: { ...pod.metadata, namespace: NAMESPACE } },
      this.#signal,
    );
    this.#say(`pod/${created.metadata.name} created`);
    return { namespace: NAMESPACE, name: created.metadata.name, uid: created.metadata.uid ?? '' };
  }

  async #waitForLog(pod: { namespace: string; name: string }): Promise<string> {
    const [seen] = await waitForObjects<Pod>({
      client: this.#system.client,
      type: PODS,
      namespace: pod.namespace,
      fieldSelector: `metadata.name=${pod.name}`,
      what: `the container of Pod ${pod.name} has run`,
      done: ([object]) => {
        const status = object?.status?.containerStatuses?.[0];
        return (
          status?.state?.terminated !== undefined ||
          status?.lastState?.terminated !== undefined ||
          status?.state?.waiting?.reason === 'ImagePullBackOff'
        );
      },
      timeoutMs: STEP_MS,
      signal: this.#signal,
    });
    const waiting = seen?.status?.containerStatuses?.[0]?.state?.waiting;
    if (waiting?.reason === 'ImagePullBackOff')
      throw new TourError('UNEXPECTED', `Cannot finish the tour: ${waiting.message ?? waiting.reason}`);
    return this.#system.client.podLog(pod, this.#signal);
  }

  async #showEvents(pod: { namespace: string; name: string; uid: string }): Promise<void> {
    this.#command(`kubectl get events --field-selector involvedObject.name=${pod.name}`);
    const list = await this.#system.client.list<Event>(
      EVENTS,
      { namespace: pod.namespace, fieldSelector: `involvedObject.uid=${pod.uid}` },
      this.#signal,
    );
    for (const event of list.items) {
      const color = event.type === 'Normal' ? 'dim' : 'yellow';
      this.#terminal.line(
        `   ${this.#terminal.style(color, event.type.padEnd(8))}${event.reason.padEnd(10)}${event.message}${(event.count ?? 1) > 1 ? ` (x${event.count})` : ''}`,
      );
    }
  }

  /** Deletes without grace and waits until it is gone; what is not there is fine. */
  async #delete(type: ResourceType, name: string): Promise<void> {
    try {
      await this.#system.client.delete(type, { namespace: NAMESPACE, name }, this.#signal, {
        gracePeriodSeconds: 0,
      });
    } catch (error) {
      if (isApiError(error, 'NotFound')) return;
      throw new TourError(
        'UNEXPECTED',
        `Cannot remove ${type.kind} ${name} of an earlier run: ${messageOf(error)}`,
        { cause: error },
      );
    }
    await waitForObjects({
      client: this.#system.client,
      type,
      namespace: NAMESPACE,
      fieldSelector: `metadata.name=${name}`,
      what: `${type.kind} ${name} is gone`,
      done: (objects) => objects.length === 0,
      timeoutMs: STEP_MS,
      signal: this.#signal,
    });
  }

  #title(text: string): void {
    this.#step++;
    this.#terminal.line(
      `\n${this.#terminal.style('cyan', `${this.#step}/${STEPS}`)} ${this.#terminal.style('bold', text)}`,
    );
  }

  #command(text: string): void {
    this.#terminal.line(`   ${this.#terminal.style('dim', `$ ${text}`)}`);
  }

  #say(text: string): void {
    this.#terminal.line(`   ${text}`);
  }
}

function isRefused(pod: Pod): boolean {
  const reason = pod.status?.containerStatuses?.[0]?.state?.waiting?.reason;
  return reason === 'ErrImagePull' || reason === 'ImagePullBackOff';
}

/** A store of its own, as another machine would have it: what the node gets, it gets from the registry. */
async function openWorkshop(rootPath: string): Promise<FileStore> {
  const directory = join(rootPath, 'tour');
  await rm(directory, { recursive: true, force: true });
  return openFileStore(directory);
}

function resource(group: string, version: string, name: string): ResourceType {
  return findResource(group, version, name) ?? missingNode();
}

function missingNode(): never {
  throw new TourError('UNEXPECTED', 'Cannot run the tour: this system has no node');
}
