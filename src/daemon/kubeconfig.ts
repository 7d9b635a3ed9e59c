import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';
import { mergeEntry, MergeError, type KubeconfigEntry } from '../kube/client/merge-kubeconfig.ts';
import type { KeyPair } from './pki.ts';

/** Cluster, user and context of the machine's own system, in the kubeconfig below its root and usually in others. */
export const SYSTEM_CONTEXT = 'drayage';

/**
 * Writes a kubeconfig for one cluster, readable by its owner only, whose current context is `name`. What people did with
 * one that is there already stays: the namespace they chose, further contexts.
 */
export async function writeKubeconfig(
  path: string,
  options: { name: string; server: string; ca: string; user: KeyPair },
): Promise<void> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const entry: KubeconfigEntry = {
    name: options.name,
    cluster: { server: options.server, 'certificate-authority-data': base64(options.ca) },
    user: {
      'client-certificate-data': base64(options.user.cert),
      'client-key-data': base64(options.user.key),
    },
  };
  await writeFileAtomic(path, mergedOrNew(await textOf(path), entry), { mode: 0o600 });
}

/** A file that is no kubeconfig any more must not keep the system from starting: it is written anew. */
function mergedOrNew(text: string | undefined, entry: KubeconfigEntry): string {
  try {
    return mergeEntry(text, entry, true);
  } catch (error) {
    if (!(error instanceof MergeError)) throw error;
    return mergeEntry(undefined, entry, true);
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
