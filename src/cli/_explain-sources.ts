import { homedir } from 'node:os';
import { join } from 'node:path';
import { NodeFiles } from '../credentials/node-files.ts';
import { startCredentialProviders } from '../credentials/provider/start-credential-providers.ts';
import { SourceError, type ExplainSources } from '../doctor/explain-sources.ts';
import { HttpKubeClient } from '../kube/client/http-kube-client.ts';
import { isApiError } from '../kube/client/kube-api-error.ts';
import type { ListOptions } from '../kube/client/kube-client.ts';
import { loadKubeconfig } from '../kube/client/kubeconfig.ts';
import type { KubeObject } from '../kube/object.ts';
import { resources, type ResourceInfo } from '../kube/resources.ts';
import type { Secret, ServiceAccount } from '../kube/secret.ts';
import { ImageAllowlist } from '../kubelet/images/image-allowlist.ts';
import { VERIFICATION_POLICIES } from '../kubelet/images/verification-policy.ts';
import type { KnownTag } from '../admission/better-tag.ts';
import { containersOf, findPodSpec } from '../admission/pod-template.ts';
import type { Node } from '../kube/node.ts';
import { parseNormalizedReference, ReferenceError, repositoryOf } from '../oci/reference.ts';
import type { HostResolver, RegistryHost } from '../remote/host-config.ts';
import { createHostResolver } from '../remote/hosts/create-host-resolver.ts';
import { listTags } from '../remote/list-tags.ts';
import { RemoteError } from '../remote/remote-error.ts';
import { hostRoots, openRemote, userCredentials } from './_client-remote.ts';
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
  readonly askRegistries?: boolean;
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
  const asked = options.context !== undefined || options.kubeconfig !== undefined;
  const facts = asked ? await connect(options) : fromFiles(objects);
  const registries = options.askRegistries === true ? askRegistries() : undefined;
  return {
    ...facts,
    ...(registries === undefined ? {} : { tags: registries.tags }),
    [Symbol.asyncDispose]: async () => {
      await registries?.close();
      await facts[Symbol.asyncDispose]();
    },
    ...(options.nodeFiles
      ? { nodeFiles: new NodeFiles({ rootDirectory: options.kubeletRootDir }), hosts: rememberedHosts() }
      : {}),
    ...(config === undefined || binDir === undefined
      ? {}
      : { providers: await startCredentialProviders({ configPath: config, binDirectory: binDir }) }),
    verification: { policy, allowlist },
    alwaysPullImages: (options.enableAdmissionPlugins ?? '').split(',').includes('AlwaysPullImages'),
  };
}

type Facts = Pick<
  OpenSources,
  | 'description'
  | 'namespace'
  | 'secret'
  | 'serviceAccount'
  | 'knownSecrets'
  | 'tags'
  | 'find'
  | typeof Symbol.asyncDispose
>;

/** Says how this machine reaches registries, reading the files once a registry: one answer is about one moment. */
function rememberedHosts(): HostResolver {
  const resolve = createHostResolver({ roots: hostRoots({}) });
  const known = new Map<string, Promise<readonly RegistryHost[]>>();
  return (registry) => {
    const found = known.get(registry) ?? resolve(registry);
    known.set(registry, found);
    return found;
  };
}

/** Lists tags at the registries, with the logins of whoever asks; one that refuses or is away has no tags to suggest. */
function askRegistries(): { tags: NonNullable<ExplainSources['tags']>; close(): Promise<void> } {
  const remote = openRemote({});
  return {
    tags: async (name, signal) => {
      const { domain } = parseNormalizedReference(name);
      const session = remote.repository(domain, name.slice(domain.length + 1), {
        credentials: userCredentials({}, signal),
      });
      try {
        return (await listTags(session, signal)).map((tag) => ({ name: tag }));
      } catch (error) {
        if (!(error instanceof RemoteError)) throw error;
        process.stderr.write(`dray: no better tag is known: ${error.message}\n`);
        return undefined;
      }
    },
    close: () => remote.close(),
  };
}

/** Reads the tags out of image names, by repository. */
function tagsByRepository(images: Iterable<string>): ReadonlyMap<string, readonly KnownTag[]> {
  const found = new Map<string, KnownTag[]>();
  for (const image of images) {
    try {
      const reference = parseNormalizedReference(image);
      if (reference.tag === undefined) continue;
      const repository = repositoryOf(reference);
      found.set(repository, [...(found.get(repository) ?? []), { name: reference.tag }]);
    } catch (error) {
      if (!(error instanceof ReferenceError)) throw error;
    }
  }
  return found;
}

function fromFiles(objects: readonly KubeObject[]): Facts {
  const secrets = objects
    .filter((object): object is FileSecret => object.kind === 'Secret')
    .map((secret) => withData(secret, secret.metadata.namespace ?? 'default'));
  const images = objects.flatMap((object) => {
    const spec = findPodSpec(object)?.spec;
    return spec === undefined ? [] : containersOf(spec).map(({ container }) => container.image ?? '');
  });
  const tags = tagsByRepository(images);
  return {
    description: 'the files given',
    namespace: 'default',
    secret: async (namespace, name) =>
      secrets.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace),
    knownSecrets: async () => secrets,
    tags: async (repository) => tags.get(repository),
    serviceAccount: async (namespace, name) =>
      objects.find(
        (object): object is ServiceAccount =>
          object.kind === 'ServiceAccount' &&
          object.metadata.name === name &&
          (object.metadata.namespace ?? namespace) === namespace,
      ),
    find: async () => undefined,
    [Symbol.asyncDispose]: async () => {},
  };
}

type FileSecret = Secret & { stringData?: Record<string, string> };

/** A Secret in a file may carry plain values and no namespace, which the API would change and fill in. */
function withData(secret: FileSecret, namespace: string): Secret {
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
      if (
        isApiError(error, 'Forbidden') &&
        (type.resource === 'secrets' || type.resource === 'serviceaccounts')
      )
        throw new SourceError('FORBIDDEN', error.message, { cause: error });
      throw error;
    }
  };
  /** What only warnings need: whoever may not list it gets fewer of them. */
  const list = async <T extends KubeObject>(
    type: ResourceInfo,
    selection: ListOptions,
    signal: AbortSignal,
  ): Promise<readonly T[]> => {
    try {
      return (await client.list<T>(type, selection, signal)).items;
    } catch (error) {
      if (isApiError(error, 'Forbidden')) return [];
      throw error;
    }
  };
  const secrets = new Map<string, Promise<readonly Secret[]>>();
  let tags: Promise<ReadonlyMap<string, readonly KnownTag[]>> | undefined;
  return {
    description: `the cluster at ${config.server}`,
    namespace: config.namespace ?? 'default',
    secret: (namespace, name, signal) => get<Secret>(resourceNamed('secrets'), namespace, name, signal),
    serviceAccount: (namespace, name, signal) =>
      get<ServiceAccount>(resourceNamed('serviceaccounts'), namespace, name, signal),
    knownSecrets: (namespace, signal) => {
      const listed =
        secrets.get(namespace) ??
        Promise.all(
          ['kubernetes.io/dockerconfigjson', 'kubernetes.io/dockercfg'].map((type) =>
            list<Secret>(resourceNamed('secrets'), { namespace, fieldSelector: `type=${type}` }, signal),
          ),
        ).then((lists) => lists.flat());
      secrets.set(namespace, listed);
      return listed;
    },
    tags: async (repository, signal) => {
      tags ??= list<Node>(resourceNamed('nodes'), {}, signal).then((nodes) =>
        tagsByRepository(
          nodes.flatMap(({ status }) => (status?.images ?? []).flatMap(({ names }) => names ?? [])),
        ),
      );
      return (await tags).get(repository);
    },
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
