import { systemClock, type Clock } from '../base/clock.ts';
import { SchemeMemory } from './authorizer.ts';
import { createBandwidth, type Bandwidth } from './bandwidth.ts';
import { Connections, type ConnectLimits } from './connections.ts';
import type { CredentialSource } from './credential.ts';
import { Exchanger, type Hop } from './exchange.ts';
import type { HostResolver } from './host-config.ts';
import type { ProxyEnvironment } from './proxy.ts';
import { RepositorySession, type RemoteContext } from './repository-session.ts';
import { TokenService } from './token-service.ts';

export interface RemoteClientOptions {
  readonly hosts: HostResolver;
  readonly userAgent?: string;
  /** Lets every mirror see the credential of the registry it stands for, as containerd does; false when absent. */
  readonly forwardCredentialsToMirrors?: boolean;
  /** Where proxies are read from; the process environment when absent (rule 16.19). */
  readonly environment?: ProxyEnvironment;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Milliseconds after which a silent body is given up and resumed; 60,000 when absent. */
  readonly bodySilenceMs?: number;
  /** Limit of the bytes of blobs that arrive; none when absent. May be shared with other clients. */
  readonly bandwidth?: Bandwidth;
  /** Times a connection may take, where they differ from rule 17.3. */
  readonly limits?: Partial<ConnectLimits>;
}

export interface SessionOptions {
  readonly credentials?: CredentialSource | undefined;
  /** Told of every request on the wire. */
  readonly observe?: ((hop: Hop) => void) | undefined;
  readonly actions?: 'pull' | 'pull,push' | 'delete';
}

/** Talks to registries; keeps connections and tokens until it is closed. */
export interface RemoteClient {
  /** Opens one repository for one operation; costs nothing until it is used. */
  repository(registry: string, repository: string, options?: SessionOptions): RepositorySession;
  close(): Promise<void>;
}

/** Makes a client. Close it when done. */
export function createRemoteClient(options: RemoteClientOptions): RemoteClient {
  const clock = options.clock ?? systemClock;
  const connections = new Connections({
    ...(options.environment === undefined ? {} : { environment: options.environment }),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.bodySilenceMs === undefined ? {} : { bodySilenceMs: options.bodySilenceMs }),
  });
  const exchanger = new Exchanger(connections);
  const context: RemoteContext = {
    exchanger,
    tokens: new TokenService(exchanger, clock),
    memory: new SchemeMemory(),
    hosts: options.hosts,
    clock,
    random: options.random ?? Math.random,
    userAgent: options.userAgent ?? 'drayage/0.1.0',
    forwardCredentials: options.forwardCredentialsToMirrors ?? false,
    bandwidth: options.bandwidth ?? createBandwidth(undefined, clock),
  };
  return {
    repository: (registry, repository, session = {}) =>
      new RepositorySession(context, registry, repository, session),
    close: () => connections.close(),
  };
}
