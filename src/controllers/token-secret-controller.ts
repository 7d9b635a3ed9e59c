import { createInformer } from '../kube/client/informer.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { SECRETS, SERVICE_ACCOUNTS } from './resource-types.ts';

const TYPE = 'kubernetes.io/service-account-token';
const ACCOUNT = 'kubernetes.io/service-account.name';
const ACCOUNT_UID = 'kubernetes.io/service-account.uid';
/** The longest life that the API gives a token: such a token ends with its secret. */
const SECONDS = 2 ** 32;

interface Secret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

interface TokenRequest extends KubeObject {
  status: { token: string };
}

/**
 * Fills secrets that are made to hold the token of a service account, for programs outside of Pods. The token is bound to
 * the secret: it is good until either of secret and account goes. Secrets of accounts that are gone are removed.
 */
export function startTokenSecretController(context: ControllerContext, rootCa: string): void {
  const { client, signal } = context;
  const secrets = createInformer<Secret>(
    client,
    SECRETS,
    // The other secrets are none of its business.
    {
      fieldSelector: `type=${TYPE}`,
      dropManagedFields: true,
      onError: (error) => context.warn('watch token secrets', error),
    },
    signal,
  );
  const accounts = context.informer(SERVICE_ACCOUNTS);
  const queue = context.queue('fill token secret', async (key, stop) => {
    const { namespace, name } = splitKey(key);
    const secret = secrets.get(namespace, name);
    if (secret === undefined || secret.metadata.deletionTimestamp !== undefined) return;
    await unless(['NotFound'], fill(context, secret, rootCa, stop));
  });
  secrets.onChange(({ type, object }) => {
    if (type !== 'deleted') queue.add(queueKey(object));
  });
  accounts.onChange(({ type, object }) => {
    if (type !== 'deleted') return;
    const { namespace, name } = object.metadata;
    for (const secret of secrets.values()) {
      const isIts = secret.metadata.namespace === namespace && accountOf(secret) === name;
      if (isIts) queue.add(queueKey(secret));
    }
  });
}

async function fill(
  context: ControllerContext,
  secret: Secret,
  rootCa: string,
  signal: AbortSignal,
): Promise<void> {
  const { client } = context;
  const { namespace = '', name, uid = '', annotations = {} } = secret.metadata;
  const account = await findAccount(context, namespace, accountOf(secret), signal);
  const owner = annotations[ACCOUNT_UID];
  if (account === undefined || (owner !== undefined && owner !== account.metadata.uid)) {
    await client.delete(SECRETS, { namespace, name }, signal, { preconditions: { uid } });
    return;
  }
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const wanted: Record<string, string> = { 'ca.crt': base64(rootCa), namespace: base64(namespace) };
  const isWhole = Object.entries(wanted).every(([key, value]) => secret.data?.[key] === value);
  if (isWhole && secret.data?.['token'] !== undefined && owner !== undefined) return;
  if (secret.data?.['token'] === undefined) {
    const { status } = await client.createSubresource<TokenRequest>(
      SERVICE_ACCOUNTS,
      { namespace, name: account.metadata.name },
      'token',
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: { name: account.metadata.name },
        spec: {
          expirationSeconds: SECONDS,
          boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name, uid },
        },
      } as KubeObject,
      signal,
    );
    wanted['token'] = base64(status.token);
  }
  const patch = {
    metadata: { uid, annotations: { [ACCOUNT_UID]: account.metadata.uid } },
    data: wanted,
  };
  await client.patch(SECRETS, { namespace, name }, patch, 'merge', signal);
}

/** The local copy may not have an account yet that was made together with the secret. */
async function findAccount(
  context: ControllerContext,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<KubeObject | undefined> {
  try {
    return await context.client.get(SERVICE_ACCOUNTS, { namespace, name }, signal);
  } catch (error) {
    if (isApiError(error, 'NotFound')) return undefined;
    throw error;
  }
}

function accountOf({ metadata }: Secret): string {
  return metadata.annotations?.[ACCOUNT] ?? '';
}
