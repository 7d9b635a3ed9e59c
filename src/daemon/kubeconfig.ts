import { writeFileAtomic } from '../base/atomic-file.ts';
import type { KeyPair } from './pki.ts';

/** Writes a kubeconfig with one cluster, one user and one context, all named `name`; readable by the owner only. */
export async function writeKubeconfig(
  path: string,
  options: { name: string; server: string; ca: string; user: KeyPair },
): Promise<void> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const quoted = JSON.stringify(options.name);
  const text = `apiVersion: v1
kind: Config
current-context: ${quoted}
clusters:
- name: ${quoted}
  cluster:
    server: ${JSON.stringify(options.server)}
    certificate-authority-data: ${base64(options.ca)}
users:
- name: ${quoted}
  user:
    client-certificate-data: ${base64(options.user.cert)}
    client-key-data: ${base64(options.user.key)}
contexts:
- name: ${quoted}
  context:
    cluster: ${quoted}
    user: ${quoted}
preferences: {}
`;
  await writeFileAtomic(path, text, { mode: 0o600 });
}
