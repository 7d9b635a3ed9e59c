import type { Clock } from '../../base/clock.ts';
import { LruMap } from '../../base/lru-map.ts';
import type { KubeClient, ResourceType } from '../../kube/client/kube-client.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Pod } from '../../kube/pod.ts';
import { parseTime } from '../../kube/time.ts';
import { podNamespace, podUid } from '../pod-reference.ts';
import { VolumeError } from './volume-error.ts';

const SERVICE_ACCOUNTS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

/** Tokens kept: a few for each Pod of a full node. */
const MAX_TOKENS = 1000;

/** A token is replaced when this part of its life is over, or after a day. */
const REFRESH_AFTER = 0.8;
const MAX_AGE_MS = 24 * 3600 * 1000;

/** Life of a token whose volume does not say. */
const DEFAULT_SECONDS = 3600;

interface TokenRequest extends KubeObject {
  spec: { audiences: string[]; expirationSeconds: number; boundObjectRef: object };
  status?: { token: string; expirationTimestamp: string };
}

interface Token {
  readonly value: string;
  readonly refreshAt: number;
}

/** Asks the API server for tokens of Pods' service accounts, bound to the Pod, and keeps them while they are fresh. */
export class ServiceAccountTokens {
  readonly #client: KubeClient | undefined;
  readonly #clock: Clock;
  readonly #tokens = new LruMap<string, Token>(MAX_TOKENS);

  /** @param client absent when the agent stands alone: there are no tokens then */
  constructor(client: KubeClient | undefined, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  async token(
    pod: Pod,
    audience: string | undefined,
    expirationSeconds: number | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const seconds = expirationSeconds ?? DEFAULT_SECONDS;
    const key = JSON.stringify([podUid(pod), audience, seconds]);
    const now = this.#clock.now();
    const known = this.#tokens.get(key);
    if (known !== undefined && now < known.refreshAt) return known.value;
    const namespace = podNamespace(pod);
    const name = pod.spec.serviceAccountName ?? 'default';
    const request: TokenRequest = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { name, namespace },
      spec: {
        audiences: audience === undefined || audience === '' ? [] : [audience],
        expirationSeconds: seconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: podUid(pod) },
      },
    };
    // The kubelet's words.
    if (this.#client === undefined)
      throw new VolumeError('cannot use TokenManager when kubelet is in standalone mode');
    const answer = await this.#client.createSubresource<TokenRequest>(
      SERVICE_ACCOUNTS,
      { namespace, name },
      'token',
      request,
      signal,
    );
    const value = answer.status?.token ?? '';
    const expires = parseTime(answer.status?.expirationTimestamp ?? '') ?? now + seconds * 1000;
    const refreshAt = Math.min(now + (expires - now) * REFRESH_AFTER, now + MAX_AGE_MS);
    this.#tokens.set(key, { value, refreshAt });
    return value;
  }
}
