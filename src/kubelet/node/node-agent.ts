import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/coded-error.ts';
import type { KubeClient, ResourceType } from '../../kube/client/kube-client.ts';
import { isApiError } from '../../kube/client/kube-api-error.ts';
import type { KubeObject } from '../../kube/object.ts';
import { formatMicroTime } from '../../kube/time.ts';
import type { Logger } from '../../observe/logger.ts';
import type { EventObject, EventRecorder } from '../ensure-image.ts';
import { recordConditions, recordReboot } from './node-events.ts';
import {
  endpointAnnotation,
  newNode,
  nodeLabels,
  nodeStatus,
  type NodeFacts,
  type NodeObject,
  type NodeStatus,
} from './node-object.ts';

export const NODES: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'nodes',
  kind: 'Node',
  namespaced: false,
};

const LEASES: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  resource: 'leases',
  kind: 'Lease',
  namespaced: true,
};

const LEASE_NAMESPACE = 'kube-node-lease';

/** The kubelet's times: status looked at, status sent although nothing changed, lease renewed, lease valid. */
const STATUS_MS = 10_000;
const REPORT_MS = 300_000;
const RENEW_MS = 10_000;
const LEASE_SECONDS = 40;

/** Pauses between attempts to reach a server that is not there (yet). */
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 7_000;

interface Lease extends KubeObject {
  spec: { holderIdentity: string; leaseDurationSeconds: number; renewTime: string };
}

export interface NodeAgentOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly facts: (signal: AbortSignal) => Promise<NodeFacts>;
  readonly recorder: EventRecorder;
  /** The Node, for its events. */
  readonly object: EventObject;
}

/** Keeps the Node object and its Lease true. */
export class NodeAgent {
  readonly #options: NodeAgentOptions;
  #node: NodeObject | undefined;
  #sentAt = 0;
  #sent: NodeStatus | undefined;

  constructor(options: NodeAgentOptions) {
    this.#options = options;
  }

  /** The Node as the API has it; undefined before it is registered. */
  get node(): NodeObject | undefined {
    return this.#node;
  }

  /** Reads the Node anew. */
  async read(signal: AbortSignal): Promise<NodeObject> {
    const name = this.#options.object.name;
    this.#node = await this.#options.client.get<NodeObject>(NODES, { name }, signal);
    return this.#node;
  }

  /** Registers the node, or takes over the Node object that is there, and returns once the API server has it. */
  async register(signal: AbortSignal): Promise<NodeObject> {
    return await this.#retry(signal, 'register node', async () => {
      const facts = await this.#options.facts(signal);
      let node;
      let stored: NodeStatus | undefined;
      try {
        node = await this.#options.client.create<NodeObject>(NODES, newNode(facts), signal);
      } catch (error) {
        if (!isApiError(error, 'AlreadyExists')) throw error;
        node = await this.#options.client.get<NodeObject>(NODES, { name: facts.name }, signal);
        stored = node.status;
        node = await this.#label(node, facts, signal);
      }
      this.#node = node;
      const { recorder, object } = this.#options;
      recordReboot(recorder, object, facts.machine.bootId, stored);
      recordConditions(recorder, object, undefined, nodeStatus(facts, stored), stored);
      await this.#update(facts, signal);
      await this.#renew(facts.name, signal);
      return node;
    });
  }

  /** Renews lease and status until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    const repeat = async (ms: number, what: string, work: () => Promise<void>): Promise<void> => {
      while (!signal.aborted) {
        await clock.sleep(ms, signal).catch(() => undefined);
        if (signal.aborted) return;
        await work().catch((error: unknown) => {
          if (!signal.aborted) logger.warn({ error: messageOf(error) }, `cannot ${what}`);
        });
      }
    };
    await Promise.all([
      repeat(STATUS_MS, 'update node status', async () => {
        await this.#update(await this.#options.facts(signal), signal);
      }),
      repeat(RENEW_MS, 'renew lease', async () => {
        const name = this.#node?.metadata.name;
        if (name !== undefined) await this.#renew(name, signal);
      }),
    ]);
  }

  /** Sends the status now if it has changed: a condition must not wait for the next round. */
  async refresh(signal: AbortSignal): Promise<void> {
    await this.#update(await this.#options.facts(signal), signal);
  }

  async #label(node: NodeObject, facts: NodeFacts, signal: AbortSignal): Promise<NodeObject> {
    const labels = nodeLabels(facts);
    const annotations = endpointAnnotation(facts);
    const has = (wanted: Record<string, string>, there: Readonly<Record<string, string>> = {}): boolean =>
      Object.entries(wanted).every(([key, value]) => there[key] === value);
    if (has(labels, node.metadata.labels) && has(annotations, node.metadata.annotations)) return node;
    const patch = { metadata: { labels, annotations } };
    return await this.#options.client.patch<NodeObject>(NODES, { name: facts.name }, patch, 'merge', signal);
  }

  async #update(facts: NodeFacts, signal: AbortSignal): Promise<void> {
    const status = nodeStatus(facts, this.#sent ?? this.#node?.status);
    const due = facts.now - this.#sentAt >= REPORT_MS;
    if (!due && this.#sent !== undefined && isDeepStrictEqual(timeless(status), timeless(this.#sent))) return;
    const { recorder, object } = this.#options;
    if (this.#sent !== undefined) recordConditions(recorder, object, this.#sent, status, undefined);
    const patch = { status };
    try {
      const name = { name: facts.name };
      this.#node = await this.#options.client.patch<NodeObject>(NODES, name, patch, 'strategic', signal, {
        subresource: 'status',
      });
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
      // Somebody deleted the Node of a living agent: it registers again.
      this.#node = await this.#options.client.create<NodeObject>(NODES, newNode(facts), signal);
    }
    this.#sent = status;
    this.#sentAt = facts.now;
  }

  async #renew(name: string, signal: AbortSignal): Promise<void> {
    const { client, clock } = this.#options;
    const spec = {
      holderIdentity: name,
      leaseDurationSeconds: LEASE_SECONDS,
      renewTime: formatMicroTime(clock.now()),
    };
    try {
      const target = { namespace: LEASE_NAMESPACE, name };
      await client.patch<Lease>(LEASES, target, { spec }, 'merge', signal);
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error;
      const uid = this.#node?.metadata.uid ?? '';
      const owner = { apiVersion: 'v1', kind: 'Node', name, uid };
      const metadata = { name, namespace: LEASE_NAMESPACE, ownerReferences: [owner] };
      const lease: Lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
      await client.create<Lease>(LEASES, lease, signal);
    }
  }

  async #retry<T>(signal: AbortSignal, what: string, work: () => Promise<T>): Promise<T> {
    for (let pause = FIRST_RETRY_MS; ; pause = Math.min(pause * 2, MAX_RETRY_MS)) {
      try {
        return await work();
      } catch (error) {
        signal.throwIfAborted();
        this.#options.logger.warn({ error: messageOf(error) }, `cannot ${what}, trying again`);
        await this.#options.clock.sleep(pause, signal);
      }
    }
  }
}

function timeless(status: NodeStatus): object {
  const conditions = (status.conditions ?? []).map(({ type, status, reason, message }) => ({
    type,
    status,
    reason,
    message,
  }));
  return { ...status, conditions };
}
