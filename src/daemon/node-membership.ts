import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError } from '../base/coded-error.ts';
import { loadKubeconfig } from '../kube/client/kubeconfig.ts';
import { defaultHostRoots } from '../remote/hosts/create-host-resolver.ts';
import { SYSTEM_CONTEXT } from './kubeconfig.ts';
import { issueNodeAccess, kubeconfigNodeAccess, type NodeAccess } from './node-access.ts';
import type { NodeOptions } from './node-agent.ts';
import { Pki } from './pki.ts';

export class MembershipError extends CodedError<'NO_SYSTEM'> {}

/** How a node belongs to a cluster, or that it belongs to none. */
export interface NodeMembership {
  readonly access: Pick<NodeOptions, 'client' | 'tls' | 'clusterEnv' | 'hostRoots'>;
  /** `the cluster at https://127.0.0.1:6443`, `no cluster`. */
  readonly description: string;
  close(): Promise<void>;
}

export interface NodeMembershipOptions {
  readonly name: string;
  readonly nodeRoot: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  /** Root of a system of this machine. */
  readonly join?: string;
}

/**
 * Opens the way to the cluster that is named; neither a kubeconfig nor a root to join is no cluster.
 *
 * @throws KubeconfigError, MembershipError `NO_SYSTEM`
 */
export async function openNodeMembership(options: NodeMembershipOptions): Promise<NodeMembership> {
  const { name, nodeRoot, kubeconfig, join: clusterRoot } = options;
  if (kubeconfig !== undefined) {
    const config = await loadKubeconfig(kubeconfig, options.context);
    return membership(await kubeconfigNodeAccess(config, nodeRoot), config.server);
  }
  if (clusterRoot !== undefined) {
    const authority = join(clusterRoot, 'pki');
    await requireSystem(clusterRoot);
    const { server } = await loadKubeconfig(join(clusterRoot, 'kubeconfig'), SYSTEM_CONTEXT);
    const pki = await Pki.open(authority);
    return membership(await issueNodeAccess({ name, clusterRoot, nodeRoot, pki, server }), server);
  }
  return {
    access: {
      client: undefined,
      tls: undefined,
      clusterEnv: {},
      hostRoots: defaultHostRoots(nodeRoot),
    },
    description: 'no cluster',
    close: () => Promise.resolve(),
  };
}

/**
 * Checks that a system lives in a directory: opening its authority would make one where there is none.
 *
 * @throws MembershipError `NO_SYSTEM`
 */
export async function requireSystem(clusterRoot: string): Promise<void> {
  await access(join(clusterRoot, 'pki', 'ca.key')).catch((error: unknown) => {
    throw new MembershipError(
      'NO_SYSTEM',
      `Cannot join ${JSON.stringify(clusterRoot)}: no dray up has run there, or it is not yours`,
      { cause: error },
    );
  });
}

function membership(given: NodeAccess, server: string): NodeMembership {
  return {
    access: given,
    description: `the cluster at ${server}`,
    close: () => given.client.close(),
  };
}
