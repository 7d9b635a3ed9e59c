import { join } from 'node:path';
import { HttpKubeClient } from '../kube/client/http-kube-client.ts';
import type { ClientConfig } from '../kube/client/kubeconfig.ts';
import { defaultHostRoots } from '../remote/hosts/create-host-resolver.ts';
import type { NodeOptions } from './node-agent.ts';
import { Pki } from './pki.ts';

/** Every name under which a client on this machine may reach a server of ours. */
export const LOCAL_NAMES = ['localhost', '127.0.0.1', '::1'] as const;

/** What a node needs to belong to a cluster. */
export interface NodeAccess extends Pick<NodeOptions, 'tls' | 'clusterEnv' | 'hostRoots'> {
  readonly client: HttpKubeClient;
}

/**
 * Makes the credentials of a node of the cluster whose authority is at hand: an identity for the API, a certificate for its
 * own endpoint, and trust in the cluster's registry.
 */
export async function issueNodeAccess(options: {
  readonly name: string;
  /** Root of the cluster, where `certs.d` lies. */
  readonly clusterRoot: string;
  readonly nodeRoot: string;
  readonly pki: Pki;
  /** `https://127.0.0.1:6443` */
  readonly server: string;
}): Promise<NodeAccess> {
  const { name, pki, server, clusterRoot, nodeRoot } = options;
  const identity = await pki.issue({
    file: `node-${name}`,
    commonName: `system:node:${name}`,
    organization: 'system:nodes',
    usage: 'client',
  });
  const serving = await pki.issue({
    file: `kubelet-${name}`,
    commonName: `system:node:${name}`,
    usage: 'server',
    names: [...new Set([...LOCAL_NAMES, name])],
  });
  const own = defaultHostRoots(nodeRoot);
  return {
    client: new HttpKubeClient({
      server,
      ca: pki.ca.cert,
      cert: identity.cert,
      key: identity.key,
      userAgent: 'drayage-node',
    }),
    tls: { cert: serving.cert, key: serving.key, clientCa: pki.ca.cert },
    clusterEnv: clusterEnvOf(server),
    // What is said for this node alone comes before what is said for all.
    hostRoots: [...new Set([join(nodeRoot, 'certs.d'), join(clusterRoot, 'certs.d'), ...own])],
  };
}

/**
 * Uses credentials that somebody else gave. Its endpoint gets a certificate that it signed itself, as a kubelet's without
 * `--tls-cert-file`; it believes the clients that the cluster's own authority names.
 */
export async function kubeconfigNodeAccess(config: ClientConfig, nodeRoot: string): Promise<NodeAccess> {
  const pki = await Pki.open(join(nodeRoot, 'pki'));
  const serving = await pki.issue({
    file: 'kubelet',
    commonName: 'kubelet',
    usage: 'server',
    names: LOCAL_NAMES,
  });
  return {
    client: new HttpKubeClient({ ...config, userAgent: 'drayage-node' }),
    tls: {
      cert: serving.cert,
      key: serving.key,
      clientCa: config.ca ?? pki.ca.cert,
      authority: pki.ca.cert,
    },
    clusterEnv: clusterEnvOf(config.server),
    hostRoots: defaultHostRoots(nodeRoot),
  };
}

/** Variables by which containers find the API. */
function clusterEnvOf(server: string): Readonly<Record<string, string>> {
  const { hostname, port, protocol } = new URL(server);
  const number = port === '' ? (protocol === 'http:' ? '80' : '443') : port;
  return {
    KUBERNETES_SERVICE_HOST: hostname.replace(/^\[|\]$/g, ''),
    KUBERNETES_SERVICE_PORT: number,
    KUBERNETES_SERVICE_PORT_HTTPS: number,
  };
}
