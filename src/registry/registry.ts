import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../base/coded-error.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { openFileStore, type FileStore } from '../content/file-store.ts';
import type { ContentStore } from '../content/store.ts';
import { silentLogger, type Logger } from '../observe/logger.ts';
import { Administration } from './admin/administration.ts';
import { COLLECT_DELAY_MS, Maintenance, type MaintenanceOptions } from './admin/maintenance.ts';
import { RobotAdministration } from './admin/robot-administration.ts';
import { trustedProxies } from './http/client-address.ts';
import { listenRegistry } from './http/registry-server.ts';
import { RegistryMetrics } from './http/registry-metrics.ts';
import { BlobReader } from './http/blob-reader.ts';
import { RequestServer } from './http/request-server.ts';
import { AccessTokens } from './identity/access-token.ts';
import type { Role } from './identity/identity.ts';
import { LoginThrottle } from './identity/login-throttle.ts';
import { Login, type AccountSource } from './identity/login.ts';
import { openRights, ProjectRights } from './identity/rights.ts';
import { RobotAccounts } from './identity/robot-accounts.ts';
import { ServiceAccountTokens, type TokenIssuer } from './identity/service-account-tokens.ts';
import { SigningKeys } from './identity/signing-keys.ts';
import { TokenService } from './identity/token-service.ts';
import { FileAccounts, ManagedAccounts } from './identity/user-accounts.ts';
import { ManifestBytes } from './manifest-bytes.ts';
import type { Metadata } from './metadata/metadata.ts';
import { openSqliteMetadata } from './metadata/sqlite-metadata.ts';
import type { PullThrough, PullThroughParts } from './proxy/pull-through.ts';
import type { Upstream } from './proxy/upstreams.ts';
import { followTls, readTls, type TlsSource } from './tls-files.ts';
import { WebhookSender, type Webhook } from './webhooks/webhook-sender.ts';
import { UploadSessions } from './upload-sessions.ts';

/** How long an idle upload keeps its file open. */
const KEEP_OPEN_MS = 30_000;
/** How long requests under way may take to end when the registry closes. */
const CLOSE_GRACE_MS = 30_000;
/** Many nodes may share an address, and each pulls several layers at once; beyond this something is wrong. */
const CONCURRENT_PER_CLIENT = 512;

export interface RegistryOptions {
  /** Directory of the registry: `content/` is an OCI layout, `registry.db` the metadata. Made when it is not there. */
  readonly directory: string;
  /** An open store to keep bytes in, in place of `content/` in the directory. */
  readonly store?: FileStore;
  /** 127.0.0.1 by default. */
  readonly host?: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** PEM, or files of it that are read again when they change; without it the registry speaks plain HTTP. */
  readonly tls?: TlsSource;
  /** URL that clients use, when it is not the host they name: behind a proxy. */
  readonly publicUrl?: string;
  /** Name of the registry in its tokens: `drayage` by default. */
  readonly serviceName?: string;
  /** `required` by default. `none` lets everybody do everything. */
  readonly auth?: 'required' | 'none';
  /** Users in a file of bcrypt hashes, and the role that all of them have in the whole registry. */
  readonly htpasswd?: { readonly path: string; readonly role?: Role };
  /** Clusters whose service-account tokens are good here as passwords. */
  readonly tokenIssuers?: readonly TokenIssuer[];
  /** Registries whose content is cached here. */
  readonly upstreams?: readonly Upstream[];
  /** Who is told of pushes, deletions and refusals for want of room. */
  readonly webhooks?: readonly Webhook[];
  /** Whether an index may name manifests that the repository lacks: true by default. */
  readonly sparseIndexes?: boolean;
  /** Whether tags, manifests and blobs can be deleted over HTTP: true by default. Retention and administrators still can. */
  readonly deletes?: boolean;
  /** When and what is collected. */
  readonly maintenance?: MaintenanceOptions;
  /** Requests of one address that are answered at the same time: 512 by default. */
  readonly concurrentPerClient?: number;
  /**
   * Proxies in front, as addresses or networks: what they say in `X-Forwarded-For` is who a request is from, and in
   * `X-Forwarded-Proto` whether it came over TLS.
   */
  readonly trustedProxies?: readonly string[];
  /** Milliseconds that requests under way may take to end when the registry closes: 30,000 by default. */
  readonly closeGraceMs?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** A registry that is being served. */
export interface Registry {
  readonly url: string;
  readonly port: number;
  /** Manages users, projects and roles while the registry serves. */
  readonly admin: Administration;
  /** Collects, retains, scrubs and backs up. */
  readonly maintenance: Maintenance;
  /** Manages accounts of machines. */
  readonly robots: RobotAdministration;
  /** Lets requests under way end, then closes everything. Uploads can go on after a restart. */
  close(): Promise<void>;
}

/** Opens the registry in a directory and serves it. */
export async function createRegistry(options: RegistryOptions): Promise<Registry> {
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const store = options.store ?? (await openFileStore(join(options.directory, 'content')));
  const metadata = openSqliteMetadata(join(options.directory, 'registry.db'), clock);
  try {
    const uploads = new UploadSessions({
      store,
      uploads: metadata.uploads,
      blobs: metadata.blobs,
      projects: metadata.projects,
      clock,
      keepOpenMs: KEEP_OPEN_MS,
    });
    const metrics = new RegistryMetrics();
    const maintenance = new Maintenance(
      {
        store,
        metadata,
        uploads,
        metrics,
        clock,
        logger,
        quarantineDirectory: join(options.directory, 'quarantine'),
      },
      options.maintenance ?? {},
    );
    await maintenance.recover();
    const serviceName = options.serviceName ?? 'drayage';
    const open = options.auth === 'none';
    const rights = open ? openRights : new ProjectRights(metadata.projects);
    const identity = open ? {} : { identity: makeIdentity(options, metadata, rights, serviceName, clock) };
    const tls = options.tls && (await readTls(options.tls));
    const stop = new AbortController();
    const manifestBytes = new ManifestBytes(store);
    const upstreams = options.upstreams ?? [];
    const pullThrough =
      upstreams.length === 0
        ? undefined
        : await startPullThrough({ upstreams, store, metadata, manifestBytes, metrics, clock });
    const webhooks = new WebhookSender({
      hooks: options.webhooks ?? [],
      index: metadata.webhooks,
      clock,
      logger,
    });
    const requests = new RequestServer({
      service: {
        blobReader: new BlobReader(store),
        metadata,
        uploads,
        rights,
        clock,
        logger,
        manifestBytes,
        notify: (event) => webhooks.notify(event),
        ...(pullThrough === undefined ? {} : { cache: { pullThrough, upstreams } }),
        sparseIndexes: options.sparseIndexes ?? true,
        deletes: options.deletes ?? true,
        renewAfterMs: (options.maintenance?.delayMs ?? COLLECT_DELAY_MS) / 4,
      },
      ...identity,
      serviceName,
      ...(options.publicUrl === undefined ? {} : { publicUrl: options.publicUrl }),
      scheme: tls === undefined ? 'http' : 'https',
      metrics,
      audit: metadata.audit,
      concurrentPerClient: options.concurrentPerClient ?? CONCURRENT_PER_CLIENT,
      unready: async () => unreadiness(store, metadata, stop.signal),
    });
    const server = await listenRegistry(requests, {
      host: options.host ?? '127.0.0.1',
      port: options.port ?? 0,
      proxies: trustedProxies(options.trustedProxies ?? []),
      ...(tls === undefined ? {} : { tls }),
    });
    const following = options.tls
      ? followTls(options.tls, (pair) => server.replaceTls(pair), { clock, logger, signal: stop.signal })
      : Promise.resolve();
    const maintained = Promise.all([maintenance.run(stop.signal), webhooks.run(stop.signal)]);
    return {
      url: server.url,
      port: server.port,
      admin: new Administration(metadata, clock),
      maintenance,
      robots: new RobotAdministration(metadata.robots, metadata.audit, clock),
      close: async () => {
        stop.abort(new Error('the registry closes'));
        await server.close(options.closeGraceMs ?? CLOSE_GRACE_MS);
        await Promise.all([following, maintained]);
        await pullThrough?.close();
        await uploads.close();
        metadata.close();
      },
    };
  } catch (error) {
    metadata.close();
    throw error;
  }
}

function makeIdentity(
  options: RegistryOptions,
  metadata: Metadata,
  rights: ProjectRights | typeof openRights,
  serviceName: string,
  clock: Clock,
): { login: Login; tokens: AccessTokens; tokenService: TokenService } {
  const sources: AccountSource[] = [
    new ServiceAccountTokens(options.tokenIssuers ?? [], clock),
    new RobotAccounts(metadata.robots, clock),
    new ManagedAccounts(metadata.users),
  ];
  if (options.htpasswd !== undefined) {
    sources.push(new FileAccounts(options.htpasswd.path, options.htpasswd.role));
  }
  const login = new Login(sources, new LoginThrottle(metadata.loginFailures, clock), clock);
  const tokens = new AccessTokens(new SigningKeys(metadata.tokens, clock), serviceName, clock);
  const { tokens: index, users } = metadata;
  return { login, tokens, tokenService: new TokenService({ login, rights, tokens, index, users, clock }) };
}

/** Says why no requests should come: the registry closes, or one of its parts does not answer. */
async function unreadiness(
  store: ContentStore,
  metadata: Metadata,
  closing: AbortSignal,
): Promise<string | undefined> {
  if (closing.aborted) return 'closing';
  try {
    await metadata.listing.hasRepository('');
    await store.ingests();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Loads the registry client only where there are upstreams: a tenth of an idle registry's memory. */
async function startPullThrough(parts: PullThroughParts): Promise<PullThrough> {
  const { PullThrough } = await import('./proxy/pull-through.ts');
  return new PullThrough(parts);
}
