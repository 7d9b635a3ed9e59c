import { homedir } from 'node:os';
import { join } from 'node:path';
import { loadClientCredential } from '../credentials/client/client-credential.ts';
import { defaultRootPath } from '../daemon/state-root.ts';
import type { CredentialSource } from '../remote/credential.ts';
import { defaultHostRoots, createHostResolver } from '../remote/hosts/create-host-resolver.ts';
import { createRemoteClient, type RemoteClient } from '../remote/remote-client.ts';

/** Options by which every client command reaches a registry. */
export interface RemoteOptions {
  readonly root?: string;
  readonly certDir?: string;
  readonly insecureRegistry?: string[];
  readonly authfile?: string;
}

/** Where an ordinary user's docker keeps certificates of registries. */
const userRoots = (): string[] => [
  join(homedir(), '.config', 'containerd', 'certs.d'),
  join(homedir(), '.docker', 'certs.d'),
];

/** Directories that say how to reach registries: the one named, the root's own, the user's, the system's. */
export function hostRoots(options: RemoteOptions): string[] {
  const own = defaultHostRoots(options.root ?? defaultRootPath());
  return [
    ...(options.certDir === undefined ? [] : [options.certDir]),
    ...own.slice(0, 1),
    ...userRoots(),
    ...own.slice(1),
  ];
}

/** Opens a registry client as a user's tool: with the user's certificates. Close it when done. */
export function openRemote(options: RemoteOptions): RemoteClient {
  return createRemoteClient({
    hosts: createHostResolver({
      roots: hostRoots(options),
      insecureRegistries: options.insecureRegistry ?? [],
    }),
  });
}

/** Finds credentials as docker and podman do: environment, login files, helpers (rules 6.23 to 6.27). */
export function userCredentials(options: RemoteOptions, signal: AbortSignal): CredentialSource {
  return (host, repository) =>
    loadClientCredential(host, repository, {
      environment: process.env,
      ...(options.authfile === undefined ? {} : { authFile: options.authfile }),
      signal,
      warn: (message) => process.stderr.write(`dray: ${message}\n`),
    });
}
