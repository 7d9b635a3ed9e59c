import { http, https } from '../base/node-http.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import type { Container, Pod } from '../kube/pod.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import { portNumber } from './container-port.ts';
import { criErrorText } from './cri-error-text.ts';
import { formatPod } from './pod-reference.ts';

/** A hook as the API describes it: exactly one of these. */
export interface Hook {
  exec?: { command?: string[] };
  sleep?: { seconds: number };
  httpGet?: {
    path?: string;
    port: number | string;
    host?: string;
    scheme?: string;
    httpHeaders?: { name: string; value: string }[];
  };
}

/** Longest wait for a hook's HTTP answer; the kubelet's client has no limit, the Pod's grace period being one. */
const HTTP_TIMEOUT_MS = 30_000;

/** Runs the hooks of a container's life. */
export class HookRunner {
  readonly #runtime: RuntimeService;
  readonly #clock: Clock;
  readonly #address: string;

  constructor(options: { runtime: RuntimeService; clock: Clock; address: string }) {
    this.#runtime = options.runtime;
    this.#clock = options.clock;
    this.#address = options.address;
  }

  /**
   * Runs a hook to its end.
   *
   * @param timeoutMs undefined: no limit
   * @returns what went wrong, in the kubelet's words, or undefined
   */
  async run(
    pod: Pod,
    container: Container,
    containerId: string,
    hook: Hook,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (hook.exec !== undefined) {
      const command = hook.exec.command ?? [];
      const { error, output } = await this.#exec(containerId, command, timeoutMs, signal);
      if (error === undefined) return undefined;
      const what = `Exec lifecycle hook (${goList(command)}) for ${where(pod, container)}`;
      return `${what} failed - error: ${error}, message: ${goQuote(output)}`;
    }
    if (hook.sleep !== undefined) {
      const wanted = hook.sleep.seconds * 1000;
      await this.#clock.sleep(timeoutMs === undefined ? wanted : Math.min(wanted, timeoutMs), signal);
      return undefined;
    }
    if (hook.httpGet === undefined) return undefined;
    try {
      await this.#get(pod, container, hook.httpGet, timeoutMs, signal);
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      const path = hook.httpGet.path ?? '';
      return `HTTP lifecycle hook (${path}) for ${where(pod, container)} failed - error: ${messageOf(error)}`;
    }
  }

  async #exec(
    containerId: string,
    command: readonly string[],
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<{ error?: string; output: string }> {
    try {
      const result = await this.#runtime.execSync(containerId, command, timeoutMs ?? 0, signal);
      const { exitCode, stdout, stderr } = result;
      const output = `${stdout.toString()}${stderr.toString()}`;
      if (exitCode === 0) return { output };
      return {
        error: `command '${command.join(' ')}' exited with ${exitCode}: ${stderr.toString()}`,
        output,
      };
    } catch (error) {
      signal.throwIfAborted();
      return { error: criErrorText(error), output: '' };
    }
  }

  #get(
    pod: Pod,
    container: Container,
    target: NonNullable<Hook['httpGet']>,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const port = portNumber(container, target.port);
    const secure = target.scheme?.toUpperCase() === 'HTTPS';
    const headers: Record<string, string> = { 'user-agent': 'kube-lifecycle/1.36' };
    for (const { name, value } of target.httpHeaders ?? []) headers[name] = value;
    const host = target.host ?? pod.status?.podIP ?? this.#address;
    const options = {
      host: host === '' ? this.#address : host,
      port,
      path: target.path ?? '/',
      headers,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs ?? HTTP_TIMEOUT_MS)]),
    };
    return new Promise((resolve, reject) => {
      // Like the kubelet's, the request does not care who answers.
      const request = secure
        ? https.request({ ...options, rejectUnauthorized: false })
        : http.request(options);
      request.once('response', (response) => {
        response.resume();
        response.once('end', resolve);
        response.once('error', reject);
      });
      request.once('error', reject);
      request.end();
    });
  }
}

function where(pod: Pod, container: Container): string {
  return `Container ${goQuote(container.name)} in Pod ${goQuote(formatPod(pod))}`;
}

function goList(words: readonly string[]): string {
  return `[${words.join(' ')}]`;
}
