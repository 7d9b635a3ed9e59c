import { isApiError } from '../kube/client/kube-api-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { SECRETS, SERVICE_ACCOUNTS } from './resource-types.ts';

const TYPE = 'kubernetes.io/service-account-token';
const ACCOUNT_NAME = 'kubernetes.io/service-account.name';
const ACCOUNT_UID = 'kubernetes.io/service-account.uid';
/** The longest that is given: such tokens are meant to hold as long as their Secret. */
const FOR_EVER_SECONDS = 2 ** 32;

interface Secret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

/**
 * Fills Secrets of the type for service account tokens, and removes those whose account is gone. Only those that people make:
 * no account gets one by itself.
 *
 * @param rootCa PEM
 */
export function startAccountTokenSecrets(context: ControllerContext, rootCa: string): void {
  const secrets = context.informer<Secret>(SECRETS);
  const accounts = context.informer(SERVICE_ACCOUNTS);

  const queue = context.queue('fill token secret', async (key, signal) => {
    const { namespace, name } = splitKey(key);
    const secret = secrets.get(namespace, name);
    if (secret?.type !== TYPE || secret.metadata.deletionTimestamp !== undefined) return;
    const account = await accountOf(secret, signal);
    if (account === undefined) await remove(secret, signal);
    else await fill(secret, account, signal);
  });

  /** Asks for an account that our picture does not show: it may be newer than the picture. */
  async function accountOf({ metadata }: Secret, signal: AbortSignal): Promise<KubeObject | undefined> {
    const { namespace = '', annotations = {} } = metadata;
    const name = annotations[ACCOUNT_NAME] ?? '';
    const uid = annotations[ACCOUNT_UID] ?? '';
    const isIt = (account: KubeObject): boolean => uid === '' || account.metadata.uid === uid;
    const seen = accounts.get(namespace, name);
    if (seen !== undefined && isIt(seen)) return seen;
    try {
      const found = await context.client.get(SERVICE_ACCOUNTS, { namespace, name }, signal);
      return isIt(found) ? found : undefined;
    } catch (error) {
      if (isApiError(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  async function fill(secret: Secret, account: KubeObject, signal: AbortSignal): Promise<void> {
    const { name, namespace = '', annotations, uid, resourceVersion } = secret.metadata;
    const data: Record<string, string> = {};
    const expect = (key: string, value: string): void => {
      const encoded = Buffer.from(value).toString('base64');
      if (secret.data?.[key] !== encoded) data[key] = encoded;
    };
    expect('ca.crt', rootCa);
    expect('namespace', namespace);
    if ((secret.data?.['token'] ?? '') === '') {
      data['token'] = Buffer.from(await issue(secret, account, signal)).toString('base64');
    }
    const isKnown = annotations?.[ACCOUNT_UID] === account.metadata.uid;
    if (isKnown && Object.keys(data).length === 0) return;
    const metadata = { uid, resourceVersion, annotations: { [ACCOUNT_UID]: account.metadata.uid } };
    await unless(
      ['NotFound'],
      context.client.patch(SECRETS, { namespace, name }, { metadata, data }, 'merge', signal),
    );
  }

  /** The token is bound to the Secret, so that it ends with it. */
  async function issue({ metadata }: Secret, account: KubeObject, signal: AbortSignal): Promise<string> {
    const { name, namespace = '', uid } = metadata;
    const request: KubeObject & { spec: object } = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { name: account.metadata.name, namespace },
      spec: {
        audiences: [],
        expirationSeconds: FOR_EVER_SECONDS,
        boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name, uid },
      },
    };
    const target = { namespace, name: account.metadata.name };
    const answer = await context.client.createSubresource<KubeObject & { status?: { token?: string } }>(
      SERVICE_ACCOUNTS,
      target,
      'token',
      request,
      signal,
    );
    return answer.status?.token ?? '';
  }

  async function remove({ metadata }: Secret, signal: AbortSignal): Promise<void> {
    const { name, namespace = '', uid } = metadata;
    await unless(
      ['NotFound', 'Conflict'],
      context.client.delete(
        SECRETS,
        { namespace, name },
        signal,
        uid === undefined ? {} : { preconditions: { uid } },
      ),
    );
  }

  secrets.onChange(({ type, object }) => {
    if (type !== 'deleted' && object.type === TYPE) queue.add(queueKey(object));
  });
  accounts.onChange(({ type, object }) => {
    if (type !== 'deleted') return;
    for (const secret of secrets.values()) {
      const isIts =
        secret.type === TYPE &&
        secret.metadata.namespace === object.metadata.namespace &&
        secret.metadata.annotations?.[ACCOUNT_NAME] === object.metadata.name;
      if (isIts) queue.add(queueKey(secret));
    }
  });
}
