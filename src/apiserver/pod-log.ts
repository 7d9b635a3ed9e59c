import type { Readable } from 'node:stream';
import { messageOf } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import { newAgent, type Agent } from '../base/undici-parts.ts';
import {
  containerLogPath,
  endpointAuthority,
  kubeletBaseUrl,
  type ContainerLogOptions,
} from '../kube/client/kubelet-endpoint.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { badRequest, internalError, invalid, notFound, plainError, StatusError } from '../kube/status.ts';
import type { FieldError } from '../kube/field-error.ts';
import { parseTime } from '../kube/time.ts';
import { coreResource, mustGet, type ApiCall, type ApiContext } from './api-call.ts';
import { isTrue } from './api-request.ts';

/** How the server proves itself to nodes, and knows them. All PEM. */
export interface KubeletTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A node that does not even begin to answer is given up after this long; a followed log may then be silent for ever. */
const CONNECT_MS = 10_000;
/** Authorities whose nodes are kept connected at a time. */
const MAX_AGENTS = 16;
/** An error body of a node is a line of text. */
const MAX_ERROR_TEXT = 16 * 1024;

/** Talks to nodes' own endpoints. */
export class KubeletProxy {
  readonly #tls: KubeletTls | undefined;
  /** By whom is believed; most nodes have certificates of the cluster, and share one. */
  readonly #agents = new Map<string, Agent>();

  constructor(tls: KubeletTls | undefined) {
    this.#tls = tls;
  }

  /**
   * Opens the log that a call asks for; `undefined` when the Pod was not given to a node yet (the log is empty).
   * The caller reads or destroys the stream.
   */
  async openLog(context: ApiContext, call: ApiCall): Promise<Readable | undefined> {
    const pod = mustGet(context, call).object as Pod;
    const options = logOptions(call.request.query);
    const container = containerOf(pod, call.request.query.get('container') ?? '');
    const node = pod.spec.nodeName ?? '';
    if (node === '') return undefined;
    const found = context.store.get({ resource: 'nodes', namespace: '', name: node })?.object;
    if (found === undefined) throw notFound(coreResource('nodes'), node);
    const base = kubeletBaseUrl(found as KubeObject & { status?: object });
    const path = containerLogPath(pod.metadata.namespace ?? '', pod.metadata.name, container, options);
    if (base === undefined || this.#tls === undefined) {
      throw plainError(`Get "${path}": node "${node}" has no endpoint`);
    }
    let answer;
    try {
      const agent = this.#agentFor(this.#tls, endpointAuthority(found, this.#tls.ca));
      answer = await agent.request({ origin: base, path, method: 'GET', signal: call.signal });
    } catch (error) {
      // Upstream names the whole URL in this error, and so do we: it is the first thing to look at.
      throw plainError(`Get "${base}${path}": ${messageOf(error)}`, { cause: error });
    }
    if (answer.statusCode === 200) return answer.body;
    throw await kubeletFailure(answer.statusCode, answer.body, pod.metadata.name);
  }

  /** What speaks with a node's own endpoint; `undefined` when there is no certificate for that. */
  agentOf(node: KubeObject): Agent | undefined {
    return this.#tls === undefined
      ? undefined
      : this.#agentFor(this.#tls, endpointAuthority(node, this.#tls.ca));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
  }

  #agentFor({ cert, key }: KubeletTls, ca: string): Agent {
    const known = this.#agents.get(ca);
    if (known !== undefined) return known;
    const [oldest] = this.#agents;
    if (oldest !== undefined && this.#agents.size >= MAX_AGENTS) {
      this.#agents.delete(oldest[0]);
      // Logs that are being followed go on to their end.
      oldest[1].close().catch(() => undefined);
    }
    const agent = newAgent({ connect: { ca, cert, key, timeout: CONNECT_MS }, bodyTimeout: 0 });
    this.#agents.set(ca, agent);
    return agent;
  }
}

async function kubeletFailure(code: number, body: Readable, pod: string): Promise<StatusError> {
  let text = '';
  for await (const chunk of body) {
    text += String(chunk);
    if (text.length > MAX_ERROR_TEXT) break;
  }
  text = text.trim();
  if (code === 400) return badRequest(text);
  if (code === 404) {
    return new StatusError({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: `the server could not find the requested resource ( pods/log ${pod})`,
      reason: 'NotFound',
      details: {
        name: pod,
        kind: 'pods/log',
        causes: [{ reason: 'UnexpectedServerResponse', message: text }],
      },
      code: 404,
    });
  }
  return internalError(text === '' ? `the node answered ${code}` : text);
}

function logOptions(query: URLSearchParams): ContainerLogOptions {
  const errors: FieldError[] = [];
  const number = (name: string, least: number): number | undefined => {
    const text = query.get(name);
    if (text === null || text === '') return undefined;
    if (!/^[+-]?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing "${text}": invalid syntax`);
    const value = Number(text);
    if (value < least) {
      const message = `Invalid value: ${value}: must be greater than ${least === 0 ? 'or equal to 0' : '0'}`;
      errors.push({ type: 'FieldValueInvalid', field: name, message });
    }
    return value;
  };
  const tailLines = number('tailLines', 0);
  const limitBytes = number('limitBytes', 1);
  const sinceSeconds = number('sinceSeconds', 1);
  const sinceTime = timeOf(query.get('sinceTime') ?? '');
  const stream = query.get('stream') ?? undefined;
  if (sinceSeconds !== undefined && sinceTime !== undefined) {
    errors.push({
      type: 'FieldValueForbidden',
      field: '',
      message: 'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
    });
  }
  if (stream !== undefined && !['All', 'Stdout', 'Stderr'].includes(stream)) {
    errors.push({
      type: 'FieldValueNotSupported',
      field: 'stream',
      message: `Unsupported value: "${stream}": supported values: "All", "Stderr", "Stdout"`,
    });
  }
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, '', errors);
  return {
    follow: isTrue(query.get('follow')),
    previous: isTrue(query.get('previous')),
    timestamps: isTrue(query.get('timestamps')),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceSeconds === undefined ? {} : { sinceSeconds }),
    ...(sinceTime === undefined ? {} : { sinceTime }),
    ...(stream === undefined || stream === 'All' ? {} : { stream }),
  };
}

/** What is `null` is what clients of old wrote for nothing. */
function timeOf(text: string): string | undefined {
  if (text === '' || text === 'null') return undefined;
  if (parseTime(text) !== undefined) return text;
  const layout = '"2006-01-02T15:04:05Z07:00"';
  throw badRequest(`parsing time ${goQuote(text)} as ${layout}: cannot parse ${goQuote(text)} as "2006"`);
}

/** Picks the container that is meant; a Pod with several needs it said. */
export function containerOf(pod: Pod, wanted: string): string {
  const { name } = pod.metadata;
  const names = pod.spec.containers.map((container) => container.name);
  const init = (pod.spec.initContainers ?? []).map((container) => container.name);
  const ephemeral = (pod.spec.ephemeralContainers ?? []).map((container) => container.name);
  if (wanted === '') {
    const [only] = names;
    if (names.length === 1 && only !== undefined) return only;
    const more = init.length > 0 ? ` or one of the init containers: [${init.join(' ')}]` : '';
    throw badRequest(
      `a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]${more}`,
    );
  }
  if ([...names, ...init, ...ephemeral].includes(wanted)) return wanted;
  throw badRequest(`container ${wanted} is not valid for pod ${name}`);
}
