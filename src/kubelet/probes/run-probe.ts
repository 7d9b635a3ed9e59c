import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { http, https } from '../../base/node-http.ts';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import { formatGoDuration } from '../../base/go-duration.ts';
import { goQuote } from '../../base/go-quote.ts';
import type { Container, Probe } from '../../kube/pod.ts';
import { RuntimeError } from '../../runtime/runtime-error.ts';
import type { RuntimeService } from '../../runtime/runtime-service.ts';
import { criErrorText } from '../cri-error-text.ts';
import { portNumber } from '../container-port.ts';

/** Bytes of an HTTP answer that are read, and of an output that is shown. The kubelet's values. */
const MAX_BODY_BYTES = 10 * 1024;

export type ProbeResult =
  | { readonly kind: 'success' }
  | { readonly kind: 'failure'; readonly output: string }
  /** The probe itself could not be made; it decides nothing. */
  | { readonly kind: 'error'; readonly output: string };

export interface ProbeTarget {
  readonly runtime: RuntimeService;
  readonly containerId: string;
  readonly container: Container;
  readonly podIP: string;
}

/** Probes a container once. */
export async function runProbe(probe: Probe, target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  try {
    if (probe.exec !== undefined) return await execProbe(probe.exec.command ?? [], target, timeoutMs, signal);
    if (probe.httpGet !== undefined) return await httpProbe(probe.httpGet, target, timeoutMs, signal);
    if (probe.tcpSocket !== undefined) {
      const { host, port } = probe.tcpSocket;
      const address = host === undefined || host === '' ? target.podIP : host;
      return await tcpProbe(address, portNumber(target.container, port), timeoutMs, signal);
    }
    return { kind: 'error', output: `missing probe handler for ${target.container.name}` };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'error', output: criErrorText(error) };
  }
}

async function execProbe(
  command: readonly string[],
  target: ProbeTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  try {
    const result = await target.runtime.execSync(target.containerId, command, timeoutMs, signal);
    if (result.exitCode === 0) return { kind: 'success' };
    return { kind: 'failure', output: `${result.stdout.toString()}${result.stderr.toString()}` };
  } catch (error) {
    if (error instanceof RuntimeError && error.code === 'TIMEOUT') {
      const said = `${goQuote(command.join(' '))} timed out after ${formatGoDuration(timeoutMs)}`;
      return { kind: 'failure', output: `command timed out: ${said}` };
    }
    throw error;
  }
}

async function tcpProbe(
  host: string,
  port: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  return await new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (result: ProbeResult): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(result);
    };
    const onAbort = (): void => done({ kind: 'error', output: 'aborted' });
    const timer = setTimeout(() => {
      done({ kind: 'failure', output: `dial tcp ${hostPort(host, port)}: i/o timeout` });
    }, timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => done({ kind: 'success' }));
    socket.once('error', (error) => done({ kind: 'failure', output: dialError(error, host, port) }));
  });
}

async function httpProbe(
  target: NonNullable<Probe['httpGet']>,
  { container, podIP }: ProbeTarget,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const port = portNumber(container, target.port);
  const secure = target.scheme?.toUpperCase() === 'HTTPS';
  const host = target.host === undefined || target.host === '' ? podIP : target.host;
  const path = target.path === undefined || target.path === '' ? '/' : target.path;
  const url = `${secure ? 'https' : 'http'}://${hostPort(host, port)}${path.startsWith('/') ? '' : '/'}${path}`;
  const headers: Record<string, string> = {
    'user-agent': 'kube-probe/1.36',
    accept: '*/*',
    connection: 'close',
  };
  for (const { name, value } of target.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { headers, signal: AbortSignal.any([signal, timeout]), agent: false } as const;
      // A probe asks whether somebody answers, not who: the kubelet checks no certificate either.
      const request = secure
        ? https.request(url, { ...options, rejectUnauthorized: false })
        : http.request(url, options);
      request.once('response', resolve);
      request.once('error', reject);
      request.end();
    });
    await drain(response);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 400) return { kind: 'success' };
    return { kind: 'failure', output: `HTTP probe failed with statuscode: ${status}` };
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) {
      return {
        kind: 'failure',
        output: `Get "${url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
      };
    }
    const why = error instanceof Error ? dialError(error, host, port) : messageOf(error);
    return { kind: 'failure', output: `Get "${url}": ${why}` };
  }
}

async function drain(response: IncomingMessage): Promise<void> {
  let size = 0;
  for await (const chunk of response) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) break;
  }
  response.destroy();
}

function dialError(error: Error, host: string, port: number): string {
  const where = `dial tcp ${hostPort(host, port)}: connect:`;
  if (isSystemError(error, 'ECONNREFUSED')) return `${where} connection refused`;
  if (isSystemError(error, 'EHOSTUNREACH')) return `${where} no route to host`;
  if (isSystemError(error, 'ENETUNREACH')) return `${where} network is unreachable`;
  if (isSystemError(error, 'ECONNRESET')) {
    return `read tcp ${hostPort(host, port)}: read: connection reset by peer`;
  }
  return error.message;
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
