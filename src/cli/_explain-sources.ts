import { homedir } from 'node:os';
import { join } from 'node:path';
import { NodeFiles } from '../credentials/node-files.ts';
import { startCredentialProviders } from '../credentials/provider/start-credential-providers.ts';
import type { ExplainSources } from '../doctor/explain-sources.ts';
import { HttpKubeClient } from '../kube/client/http-kube-client.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import { loadKubeconfig } from '../kube/client/kubeconfig.ts';
import type { KubeObject } from '../kube/object.ts';
import { resources, type ResourceInfo } from '../kube/resources.ts';
import type { Secret, ServiceAccount } from '../kube/secret.ts';
import { ImageAllowlist } from '../kubelet/images/image-allowlist.ts';
import { VERIFICATION_POLICIES } from '../kubelet/images/verification-policy.ts';
import { UsageError } from './exit.ts';

export interface SourceOptions {
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly kubeletRootDir: string;
  readonly nodeFiles: boolean;
  readonly imageCredentialProviderConfig?: string;
  readonly imageCredentialProviderBinDir?: string;
  readonly imagePullCredentialsVerificationPolicy: string;
  readonly preloadedImagesVerificationAllowlist?: string;
  readonly enableAdmissionPlugins?: string;
}

/** Facts for explanations, opened: dispose of them when done. */
export interface OpenSources extends ExplainSources, AsyncDisposable {
  /** Namespace of objects that name none. */
  readonly namespace: string;
  /** Reads `kind/name` from the cluster; undefined when no cluster is asked or the text is no such name. */
  find(subject: string, namespace: string, signal: AbortSignal): Promise<KubeObject | undefined>;
}

/** Opens what the options name: the objects of the files, or a cluster; the login files and providers of a node. */
export async function openExplainSources(
  options: SourceOptions,
  objects: readonly KubeObject[],
): Promise<OpenSources> {
  const policy = VERIFICATION_POLICIES.find(
    (each) => each === options.imagePullCredentialsVerificationPolicy,
  );
  if (policy === undefined) {
    throw new UsageError(
      `unknown verification policy "${options.imagePullCredentialsVerificationPolicy}": there are ${VERIFICATION_POLICIES.join(', ')}`,
    );
  }
  const allowlist = new ImageAllowlist(
    (options.preloadedImagesVerificationAllowlist ?? '').split(',').filter((each) => each !== ''),
  );
  const config = options.imageCredentialProviderConfig;
  const binDir = options.imageCredentialProviderBinDir;
  if ((config === undefined) !== (binDir === undefined)) {
    throw new UsageError(
      '--image-credential-provider-config and --image-credential-provider-bin-dir go together',
    );
  }
  const cluster =
    options.context !== undefined || options.kubeconfig !== undefined ? await connect(options) : undefined;
  return {
    ...(cluster ?? fromFiles(objects)),
    ...(options.nodeFiles ? { nodeFiles: new NodeFiles({ rootDirectory: options.kubeletRootDir }) } : {}),
    ...(config === undefined || binDir === undefined
      ? {}
      : { providers: await startCredentialProviders({ configPath: config, binDirectory: binDir }) }),
    verification: { policy, allowlist },
    alwaysPullImages: (options.enableAdmissionPlugins ?? '').split(',').includes('AlwaysPullImages'),
  };
}

type Facts = Pick<
  OpenSources,
  'description' | 'namespace' | 'secret' | 'serviceAccount' | 'find' | typeof Symbol.asyncDispose
>;

function fromFiles(objects: readonly KubeObject[]): Facts {
  const find = <T extends KubeObject>(kind: string, namespace: string, name: string): T | undefined =>
    objects.find(
      (object) =>
        object.kind === kind &&
        object.metadata.name === name &&
        (object.metadata.namespace ?? namespace) === namespace,
    ) as T | undefined;
  return {
    description: 'the files given',
    namespace: 'default',
    secret: async (namespace, name) => withData(find<FileSecret>('Secret', namespace, name), namespace),
    serviceAccount: async (namespace, name) => find<ServiceAccount>('ServiceAccount', namespace, name),
    find: async () => undefined,
    [Symbol.asyncDispose]: async () => {},
  };
}

type FileSecret = Secret & { stringData?: Record<string, string> };

/** A Secret in a file may carry plain values and no namespace, which the API would change and fill in. */
function withData(secret: FileSecret | undefined, namespace: string): Secret | undefined {
  if (secret === undefined) return undefined;
  const encoded = Object.entries(secret.stringData ?? {}).map(([key, value]) => [
    key,
    Buffer.from(value).toString('base64'),
  ]);
  return {
    ...secret,
    metadata: { ...secret.metadata, namespace },
    data: { ...secret.data, ...Object.fromEntries(encoded) },
  };
}

async function connect(options: SourceOptions): Promise<Facts> {
  const path =
    options.kubeconfig ?? process.env['KUBECONFIG']?.split(':')[0] ?? join(homedir(), '.kube', 'config');
  const config = await loadKubeconfig(path, options.context);
  const client = new HttpKubeClient({ ...config, userAgent: 'dray-explain' });
  const get = async <T extends KubeObject>(
    type: ResourceInfo,
    namespace: string,
    name: string,
    signal: AbortSignal,
  ): Promise<T | undefined> => {
    try {
      return await client.get<T>(type, { namespace, name }, signal);
    } catch (error) {
      if (isApiError(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  return {
    description: `the cluster at ${config.server}`,
    namespace: config.namespace ?? 'default',
    secret: (namespace, name, signal) => get<Secret>(resourceNamed('secrets'), namespace, name, signal),
    serviceAccount: (namespace, name, signal) =>
      get<ServiceAccount>(resourceNamed('serviceaccounts'), namespace, name, signal),
    find: async (subject, namespace, signal) => {
      const [kind, name, more] = subject.split('/');
      if (kind === undefined || name === undefined || name === '' || more !== undefined) return undefined;
      const type = resources.find((each) =>
        [each.resource, each.singular, ...each.shortNames].includes(kind.toLowerCase()),
      );
      if (type === undefined) return undefined;
      const found = await get<KubeObject>(type, namespace, name, signal);
      if (found === undefined)
        throw new UsageError(
          `there is no ${type.singular} "${name}" in namespace "${namespace}" of ${config.server}`,
        );
      return { ...found, apiVersion: type.apiVersion, kind: type.kind };
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

function resourceNamed(name: string): ResourceInfo {
  const found = resources.find((each) => each.resource === name && each.group === '');
  if (found === undefined) throw new RangeError(`no resource ${name}`);
  return found;
}
