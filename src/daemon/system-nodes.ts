import { join } from 'node:path';
import type { Logger } from '../observe/logger.ts';
import type { Platform } from '../oci/platform.ts';
import { issueNodeAccess } from './node-access.ts';
import { startNode, type NodeAgent, type NodeOptions } from './node-agent.ts';
import type { Pki } from './pki.ts';
import { openStateRoot } from './state-root.ts';

/** What a kubelet's configuration and flags say, the same for every node of a system. */
export type NodeSettings = Pick<
  NodeOptions,
  | 'imageSettings'
  | 'credentialProviders'
  | 'eviction'
  | 'progressTimeoutMs'
  | 'endpoints'
  | 'staticPods'
  | 'plainPorts'
  | 'transfers'
>;

/** A node that shall be. */
export interface NodeSpec {
  readonly name: string;
  /** The machine's own when absent. */
  readonly platform?: Platform;
}

export interface SystemNodesOptions {
  /** Root of the system, which is also that of the first node. */
  readonly root: string;
  readonly pki: Pki;
  /** Where the API is: `https://127.0.0.1:6443`. */
  readonly server: string;
  readonly settings: NodeSettings;
  /** The machine's own node first. */
  readonly specs: readonly NodeSpec[];
  /** Told how each part that was opened is closed. */
  readonly opened: (close: () => Promise<void>) => void;
  readonly logger: Logger;
  readonly remark: (text: string) => void;
}

/**
 * Starts the nodes of a system. The first lives in the root itself, each other in `nodes/NAME` with stores, credentials,
 * login files and a CRI socket of its own.
 */
export async function startNodes(options: SystemNodesOptions, signal: AbortSignal): Promise<NodeAgent[]> {
  const { root, pki, server, settings, specs, opened, remark } = options;
  const start = async (spec: NodeSpec, index: number): Promise<NodeAgent> => {
    const nodeRoot = index === 0 ? root : nodeRootOf(root, spec.name);
    if (index > 0) {
      const held = await openStateRoot(nodeRoot, 'dray up');
      opened(() => Promise.resolve(held.close()));
    }
    const access = await issueNodeAccess({ name: spec.name, clusterRoot: root, nodeRoot, pki, server });
    opened(() => access.client.close());
    const { staticPods, plainPorts, ...common } = settings;
    const node = await startNode(
      {
        ...common,
        ...access,
        ...spec,
        root: nodeRoot,
        // A claim is one directory, wherever its Pod runs.
        claims: join(root, 'kubelet', 'claims'),
        // Files and ports are one machine's: its own node has them.
        ...(index === 0 && staticPods !== undefined ? { staticPods } : {}),
        ...(index === 0 && plainPorts !== undefined ? { plainPorts } : {}),
        logger: options.logger.child({ node: spec.name }),
        remark: (text) => remark(index === 0 ? text : `${spec.name}: ${text}`),
      },
      signal,
    );
    opened(() => node.close());
    return node;
  };
  const [first, ...others] = specs;
  if (first === undefined) return [];
  const own = await start(first, 0);
  return [own, ...(await Promise.all(others.map((spec, index) => start(spec, index + 1))))];
}

/** Directory of a node beside the machine's own. */
export function nodeRootOf(root: string, name: string): string {
  return join(root, 'nodes', name);
}
