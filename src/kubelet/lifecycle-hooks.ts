import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/coded-error.ts';
import type { Container, Pod } from '../kube/pod.ts';
import type { RuntimeService } from '../runtime/runtime-service.ts';
import { portNumber } from './container-port.ts';

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
   * @returns what went wrong, or undefined
   */
  async run(
    pod: Pod,
    container: Container,
    containerId: string,
    hook: Hook,
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    try {
      if (hook.exec !== undefined) {
        const command = hook.exec.command ?? [];
        const { exitCode, stderr, stdout } = await this.#runtime.execSync(
          containerId,
          command,
          timeoutMs ?? 0,
          signal,
        );
        if (exitCode === 0) return undefined;
        return `command '${command.join(' ')}' exited with ${exitCode}: ${stderr.toString()}${stdout.toString()}`;
      }
      if (hook.sleep !== undefined) {
        const wanted = hook.sleep.seconds * 1000;
        await this.#clock.sleep(timeoutMs === undefined ? wanted : Math.min(wanted, timeoutMs), signal);
        return undefined;
      }
      if (hook.httpGet !== undefined) await this.#get(pod, container, hook.httpGet, timeoutMs, signal);
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      return messageOf(error);
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
      const request = secure ? httpsRequest({ ...options, rejectUnauthorized: false }) : httpRequest(options);
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
