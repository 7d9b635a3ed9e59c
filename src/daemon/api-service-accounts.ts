import type { Clock } from '../base/clock.ts';
import type { ServiceAccountSource } from '../credentials/provider/service-accounts.ts';
import type { KubeClient, ResourceType } from '../kube/client/kube-client.ts';
import type { KubeObject } from '../kube/object.ts';
import type { ServiceAccount } from '../kube/secret.ts';
import { parseTime } from '../kube/time.ts';

const SERVICE_ACCOUNTS: ResourceType = {
  group: '',
  version: 'v1',
  resource: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

/** Lifetime that the API gives when none is asked for, in seconds. */
const USUAL_SECONDS = 3600;

interface TokenRequestObject extends KubeObject {
  spec: { audiences: string[]; expirationSeconds?: number; boundObjectRef: object };
  status?: { token?: string; expirationTimestamp?: string };
}

/** Reads service accounts and asks for their tokens at the API, for credential providers that act for a Pod's account (rules 9.17 to 9.19). */
export function apiServiceAccounts(client: KubeClient, clock: Clock): ServiceAccountSource {
  return {
    getServiceAccount: async (namespace, name, signal) => {
      const account = await client.get<ServiceAccount>(SERVICE_ACCOUNTS, { namespace, name }, signal);
      return { uid: account.metadata.uid ?? '', annotations: account.metadata.annotations ?? {} };
    },
    requestToken: async ({ namespace, serviceAccountName: name, ...request }, signal) => {
      const { pod } = request;
      const answer = await client.createSubresource<TokenRequestObject>(
        SERVICE_ACCOUNTS,
        { namespace, name },
        'token',
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          metadata: { name, namespace, uid: request.serviceAccountUid },
          spec: {
            audiences: [request.audience],
            boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid },
          },
        } as TokenRequestObject,
        signal,
      );
      const lifetimeMs = (answer.spec.expirationSeconds ?? USUAL_SECONDS) * 1000;
      const expiresAt = parseTime(answer.status?.expirationTimestamp ?? '') ?? clock.now() + lifetimeMs;
      return { token: answer.status?.token ?? '', expiresAt, lifetimeMs };
    },
  };
}
