import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/*
 * An OCI registry that can be told to misbehave: the network and the registries of real life, in one process. It speaks enough
 * of the distribution protocol for pull and push, with none, Basic or Bearer authentication, and keeps every request it saw.
 */

/** What goes wrong with one answer. */
export type Fault =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** Cuts the connection after so many body bytes. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** Sends so many body bytes and then nothing until the client goes. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** Sends the body in pieces of so many bytes. */
  | { readonly kind: 'trickle'; readonly pieceBytes: number }
  /** Sends another body with its own true length. */
  | { readonly kind: 'body'; readonly bytes: Buffer; readonly headers?: Record<string, string> }
  /** Ends the body early without saying how long it was to be. */
  | { readonly kind: 'short'; readonly bytes: number }
  /** Ignores a Range header. */
  | { readonly kind: 'whole' }
  /** Leaves headers out. */
  | { readonly kind: 'without'; readonly headers: readonly string[] }
  /** Accepts so many bytes of an upload, keeps them, then cuts the connection. */
  | { readonly kind: 'cutUpload'; readonly afterBytes: number }
  /** Closes the connection without any answer. */
  | { readonly kind: 'hangUp' };

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  status?: number;
}

export interface FaultRegistryOptions {
  readonly auth?: {
    readonly kind: 'basic' | 'bearer';
    readonly users: Readonly<Record<string, string>>;
    /** Repositories open to everyone. */
    readonly open?: readonly string[];
    readonly tokenSeconds?: number;
    /** Status with which POST to the token service is answered; 404 as old services do when absent. */
    readonly postStatus?: number;
    /** Where the challenge sends clients instead of this registry's own token service. */
    readonly realm?: string;
  };
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca?: string };
}

interface ActiveFault {
  readonly matches: (request: SeenRequest) => boolean;
  readonly fault: Fault;
  left: number;
}

interface StoredManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
}

export const TYPES = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

export interface TestDescriptor {
  mediaType: string;
  digest: string;
  size: number;
  platform?: { os: string; architecture: string; variant?: string };
}

export interface TestImage {
  readonly manifest: TestDescriptor;
  readonly config: TestDescriptor;
  readonly layers: readonly TestDescriptor[];
}

/** Digests bytes as registries name them. */
export function sha256(bytes: Buffer | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export class FaultRegistry {
  readonly requests: SeenRequest[] = [];
  readonly #options: FaultRegistryOptions;
  readonly #server: Server;
  readonly #faults: ActiveFault[] = [];
  readonly #waiting = new Set<(request: SeenRequest) => boolean>();
  readonly #blobs = new Map<string, Buffer>();
  readonly #manifests = new Map<string, StoredManifest>();
  readonly #uploads = new Map<string, Buffer>();
  readonly #tokens = new Map<string, { until: number; user: string; scopes: string[] }>();
  /** Registries that answer `OCI-Subject` and serve the referrers API. */
  referrersApi = false;
  now: () => number = Date.now;
  /** Connections taken so far. */
  connections = 0;

  private constructor(options: FaultRegistryOptions) {
    this.#options = options;
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#answer(request, response).catch(() => response.destroy());
    };
    this.#server =
      options.tls === undefined
        ? createServer(listener)
        : createTlsServer(
            {
              ...options.tls,
              requestCert: options.tls.ca !== undefined,
              rejectUnauthorized: options.tls.ca !== undefined,
            },
            listener,
          );
    this.#server.on('connection', () => this.connections++);
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** Starts on a free port of 127.0.0.1. */
  static async start(options: FaultRegistryOptions = {}): Promise<FaultRegistry> {
    const registry = new FaultRegistry(options);
    await new Promise<void>((resolve, reject) => {
      registry.#server.once('error', reject);
      registry.#server.listen(0, '127.0.0.1', resolve);
    });
    return registry;
  }

  /** `127.0.0.1:PORT` */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get origin(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://${this.host}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Makes the next `times` answers to requests that match `path`, and `also`, go wrong; earlier faults first. */
  fault(
    method: string,
    path: RegExp,
    fault: Fault,
    times = 1,
    also = (_request: SeenRequest): boolean => true,
  ): void {
    this.#faults.push({
      matches: (request) => request.method === method && path.test(request.path) && also(request),
      fault,
      left: times,
    });
  }

  /** Lets everything go right from now on. */
  clearFaults(): void {
    this.#faults.length = 0;
  }

  /** Resolves when the next matching request arrives. */
  nextRequest(method: string, path: RegExp): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add((request) => {
        if (request.method !== method || !path.test(request.path)) return false;
        resolve();
        return true;
      });
    });
  }

  /** Counts requests by `METHOD path-kind`, leaving the token service out. */
  count(method: string, path: RegExp): number {
    return this.requests.filter((each) => each.method === method && path.test(each.path)).length;
  }

  putBlob(repository: string, bytes: Buffer, mediaType: string = TYPES.layer): TestDescriptor {
    const digest = sha256(bytes);
    this.#blobs.set(`${repository}@${digest}`, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  removeBlob(repository: string, digest: string): void {
    this.#blobs.delete(`${repository}@${digest}`);
  }

  blob(repository: string, digest: string): Buffer | undefined {
    return this.#blobs.get(`${repository}@${digest}`);
  }

  manifest(repository: string, name: string): StoredManifest | undefined {
    return this.#manifests.get(`${repository}@${name}`);
  }

  putManifest(
    repository: string,
    name: string | undefined,
    document: unknown,
    mediaType: string,
  ): TestDescriptor {
    const bytes = Buffer.isBuffer(document) ? document : Buffer.from(JSON.stringify(document));
    const digest = sha256(bytes);
    this.#manifests.set(`${repository}@${digest}`, { bytes, mediaType });
    if (name !== undefined) this.#manifests.set(`${repository}@${name}`, { bytes, mediaType });
    return { mediaType, digest, size: bytes.length };
  }

  removeManifest(repository: string, name: string): void {
    this.#manifests.delete(`${repository}@${name}`);
  }

  /** Stores an image of the given compressed layers. */
  putImage(
    repository: string,
    tag: string | undefined,
    layers: readonly { readonly bytes: Buffer; readonly diffId: string; readonly mediaType?: string }[],
    platform: { os: string; architecture: string; variant?: string } = { os: 'linux', architecture: 'amd64' },
    config: Record<string, unknown> = {},
  ): TestImage {
    const document = {
      ...platform,
      config,
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    };
    const configDescriptor = this.putBlob(repository, Buffer.from(JSON.stringify(document)), TYPES.config);
    const descriptors = layers.map((layer) =>
      this.putBlob(repository, layer.bytes, layer.mediaType ?? TYPES.layer),
    );
    const manifest = this.putManifest(
      repository,
      tag,
      { schemaVersion: 2, mediaType: TYPES.manifest, config: configDescriptor, layers: descriptors },
      TYPES.manifest,
    );
    return { manifest: { ...manifest, platform }, config: configDescriptor, layers: descriptors };
  }

  putIndex(repository: string, tag: string, manifests: readonly TestDescriptor[]): TestDescriptor {
    return this.putManifest(
      repository,
      tag,
      { schemaVersion: 2, mediaType: TYPES.index, manifests },
      TYPES.index,
    );
  }

  /** Ends all tokens now. */
  expireTokens(): void {
    this.#tokens.clear();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin);
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
    };
    this.requests.push(seen);
    for (const waiter of this.#waiting) if (waiter(seen)) this.#waiting.delete(waiter);
    response.on('finish', () => {
      seen.status = response.statusCode;
    });
    const fault = this.#takeFault(seen);
    if (fault?.kind === 'hangUp') {
      request.socket.destroy();
      return;
    }
    if (fault?.kind === 'status') {
      request.resume();
      response.writeHead(fault.status, fault.headers).end(fault.body ?? '');
      return;
    }
    if (url.pathname === '/token') {
      await this.#token(request, response, url);
      return;
    }
    const refusal = this.#refusal(seen);
    if (refusal !== undefined) {
      request.resume();
      response.writeHead(401, { 'www-authenticate': refusal, 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] }),
      );
      return;
    }
    const match = /^\/v2\/(.+?)\/(manifests|blobs|referrers)\/(.*)$/.exec(url.pathname);
    if (match === null) {
      request.resume();
      response.writeHead(url.pathname === '/v2/' ? 200 : 404).end();
      return;
    }
    const [, repository = '', kind = '', rest = ''] = match;
    if (rest.startsWith('uploads/') || (kind === 'blobs' && rest === 'uploads')) {
      await this.#upload(request, response, repository, rest.slice('uploads/'.length), url, fault);
    } else if (seen.method === 'PUT') {
      await this.#putManifest(request, response, repository, rest);
    } else {
      request.resume();
      this.#get(response, seen, repository, kind, rest, fault);
    }
  }

  #takeFault(seen: SeenRequest): Fault | undefined {
    const active = this.#faults.find((each) => each.left > 0 && each.matches(seen));
    if (active === undefined) return undefined;
    active.left--;
    return active.fault;
  }

  #get(
    response: ServerResponse,
    seen: SeenRequest,
    repository: string,
    kind: string,
    name: string,
    fault: Fault | undefined,
  ): void {
    if (kind === 'referrers') {
      if (this.referrersApi) response.writeHead(200).end(JSON.stringify(this.#referrersOf(repository, name)));
      else response.writeHead(404).end();
      return;
    }
    const manifest = kind === 'manifests' ? this.#manifests.get(`${repository}@${name}`) : undefined;
    let bytes = manifest?.bytes ?? (kind === 'blobs' ? this.#blobs.get(`${repository}@${name}`) : undefined);
    let headers: Record<string, string> = {};
    if (fault?.kind === 'body') {
      bytes = fault.bytes;
      headers = { ...fault.headers };
    }
    if (bytes === undefined) {
      response.writeHead(404, { 'content-type': 'application/json' });
      const code = kind === 'manifests' ? 'MANIFEST_UNKNOWN' : 'BLOB_UNKNOWN';
      response.end(JSON.stringify({ errors: [{ code, message: `${kind} unknown` }] }));
      return;
    }
    headers = {
      'content-type': manifest?.mediaType ?? 'application/octet-stream',
      'docker-content-digest': kind === 'manifests' ? sha256(manifest?.bytes ?? bytes) : name,
      etag: `"${name}"`,
      'content-length': `${bytes.length}`,
      ...headers,
    };
    let status = 200;
    const range = /^bytes=(\d+)-(\d*)$/.exec(seen.headers.range ?? '');
    if (range !== null && kind === 'blobs' && fault?.kind !== 'whole') {
      const start = Number(range[1]);
      const end = range[2] === '' ? bytes.length - 1 : Math.min(Number(range[2]), bytes.length - 1);
      headers['content-range'] = `bytes ${start}-${end}/${bytes.length}`;
      bytes = bytes.subarray(start, end + 1);
      headers['content-length'] = `${bytes.length}`;
      status = 206;
    }
    if (fault?.kind === 'without') for (const each of fault.headers) delete headers[each];
    if (fault?.kind === 'short') delete headers['content-length'];
    response.writeHead(status, headers);
    if (seen.method === 'HEAD') {
      response.end();
      return;
    }
    void sendBody(response, bytes, fault);
  }

  #referrersOf(repository: string, subject: string): object {
    const manifests = [...this.#manifests].flatMap(([key, { bytes, mediaType }]) => {
      const document = JSON.parse(bytes.toString('utf8')) as {
        subject?: TestDescriptor;
        artifactType?: string;
      };
      if (!key.startsWith(`${repository}@sha256:`) || document.subject?.digest !== subject) return [];
      return [{ mediaType, digest: sha256(bytes), size: bytes.length, artifactType: document.artifactType }];
    });
    return { schemaVersion: 2, mediaType: TYPES.index, manifests };
  }

  async #upload(
    request: IncomingMessage,
    response: ServerResponse,
    repository: string,
    id: string,
    url: URL,
    fault: Fault | undefined,
  ): Promise<void> {
    const base = `/v2/${repository}/blobs/uploads/`;
    if (request.method === 'POST') {
      request.resume();
      const mount = url.searchParams.get('mount');
      const from = url.searchParams.get('from');
      const source = mount === null || from === null ? undefined : this.#blobs.get(`${from}@${mount}`);
      if (source !== undefined && mount !== null) {
        this.#blobs.set(`${repository}@${mount}`, source);
        response.writeHead(201, { location: `/v2/${repository}/blobs/${mount}` }).end();
        return;
      }
      const upload = randomBytes(8).toString('hex');
      this.#uploads.set(upload, Buffer.alloc(0));
      response.writeHead(202, { location: `${base}${upload}?state=s3cret`, range: '0-0' }).end();
      return;
    }
    const held = this.#uploads.get(id);
    if (held === undefined) {
      request.resume();
      response.writeHead(404).end();
      return;
    }
    const progress = (): Record<string, string> => ({
      location: `${base}${id}?state=s3cret`,
      range: `0-${Math.max(0, (this.#uploads.get(id)?.length ?? 0) - 1)}`,
    });
    if (request.method === 'GET') {
      response.writeHead(204, progress()).end();
      return;
    }
    const chunks: Buffer[] = [held];
    let received = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      if (fault?.kind === 'cutUpload' && received + chunk.length >= fault.afterBytes) {
        chunks.push(chunk.subarray(0, fault.afterBytes - received));
        this.#uploads.set(id, Buffer.concat(chunks));
        request.socket.destroy();
        return;
      }
      received += chunk.length;
      chunks.push(chunk);
    }
    const bytes = Buffer.concat(chunks);
    this.#uploads.set(id, bytes);
    if (request.method === 'PATCH') {
      response.writeHead(202, progress()).end();
      return;
    }
    const digest = url.searchParams.get('digest') ?? '';
    if (sha256(bytes) !== digest) {
      response
        .writeHead(400)
        .end(JSON.stringify({ errors: [{ code: 'DIGEST_INVALID', message: 'bad digest' }] }));
      return;
    }
    this.#uploads.delete(id);
    this.#blobs.set(`${repository}@${digest}`, bytes);
    response.writeHead(201, { location: `/v2/${repository}/blobs/${digest}` }).end();
  }

  async #putManifest(
    request: IncomingMessage,
    response: ServerResponse,
    repository: string,
    name: string,
  ): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const document = JSON.parse(bytes.toString('utf8')) as {
      config?: TestDescriptor;
      layers?: TestDescriptor[];
      manifests?: TestDescriptor[];
      subject?: TestDescriptor;
    };
    const blobs = [...(document.config === undefined ? [] : [document.config]), ...(document.layers ?? [])];
    const missing =
      blobs.find((blob) => !this.#blobs.has(`${repository}@${blob.digest}`)) ??
      (document.manifests ?? []).find((child) => !this.#manifests.has(`${repository}@${child.digest}`));
    if (missing !== undefined && !name.startsWith('sha256-')) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ errors: [{ code: 'MANIFEST_BLOB_UNKNOWN', message: missing.digest }] }));
      return;
    }
    const stored = this.putManifest(
      repository,
      name.startsWith('sha256:') ? undefined : name,
      bytes,
      request.headers['content-type'] ?? TYPES.manifest,
    );
    response.writeHead(201, {
      'docker-content-digest': stored.digest,
      ...(document.subject !== undefined && this.referrersApi
        ? { 'oci-subject': document.subject.digest }
        : {}),
    });
    response.end();
  }

  /** Returns the challenge for a request that may not pass. */
  #refusal(seen: SeenRequest): string | undefined {
    const { auth } = this.#options;
    if (auth === undefined) return undefined;
    const repository = /^\/v2\/(.+?)\/(?:manifests|blobs|referrers)\//.exec(seen.path)?.[1] ?? '';
    const header = seen.headers.authorization ?? '';
    if (auth.kind === 'basic') {
      if (auth.open?.includes(repository) === true || this.#userOf(header) !== undefined) return undefined;
      return 'Basic realm="Test Realm, with a comma"';
    }
    const actions = seen.method === 'GET' || seen.method === 'HEAD' ? 'pull' : 'pull,push';
    const scope = `repository:${repository}:${actions}`;
    const token = this.#tokens.get(header.replace(/^Bearer /, ''));
    const challenge = `Bearer realm="${auth.realm ?? `${this.origin}/token`}",service="test",scope="${scope}"`;
    if (header === '') return challenge;
    if (token === undefined || token.until <= this.now()) return `${challenge},error="invalid_token"`;
    const granted = token.scopes.some((each) => {
      const [, name, list = ''] = each.split(':');
      return name === repository && actions.split(',').every((action) => list.split(',').includes(action));
    });
    if (!granted) return `${challenge},error="insufficient_scope"`;
    const open = auth.open?.includes(repository) === true && actions === 'pull';
    return token.user !== '' || open ? undefined : `${challenge},error="insufficient_scope"`;
  }

  async #token(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { auth } = this.#options;
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
    if (request.method === 'POST' && auth?.postStatus !== 200) {
      response.writeHead(auth?.postStatus ?? 404).end();
      return;
    }
    const header = request.headers.authorization ?? '';
    const user =
      request.method === 'POST'
        ? this.#passwordUser(form.get('username') ?? '', form.get('password') ?? '')
        : this.#userOf(header);
    if ((header !== '' || request.method === 'POST') && user === undefined) {
      response.writeHead(401).end();
      return;
    }
    const scopes = (
      request.method === 'POST' ? [form.get('scope') ?? ''] : url.searchParams.getAll('scope')
    ).flatMap((each) => each.split(' '));
    const value = randomBytes(12).toString('hex');
    const seconds = auth?.tokenSeconds ?? 300;
    this.#tokens.set(value, { until: this.now() + seconds * 1000, user: user ?? '', scopes });
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ token: value, access_token: value, expires_in: seconds }));
  }

  #userOf(header: string): string | undefined {
    const decoded = Buffer.from(header.replace(/^Basic /, ''), 'base64').toString('utf8');
    const colon = decoded.indexOf(':');
    if (!header.startsWith('Basic ') || colon < 0) return undefined;
    return this.#passwordUser(decoded.slice(0, colon), decoded.slice(colon + 1));
  }

  #passwordUser(user: string, password: string): string | undefined {
    const users = this.#options.auth?.users ?? {};
    return Object.hasOwn(users, user) && users[user] === password ? user : undefined;
  }
}

async function sendBody(response: ServerResponse, bytes: Buffer, fault: Fault | undefined): Promise<void> {
  if (fault?.kind === 'reset' || fault?.kind === 'stall') {
    response.write(bytes.subarray(0, fault.afterBytes), () => {
      if (fault.kind === 'reset') response.socket?.destroy();
    });
    return;
  }
  if (fault?.kind === 'short') {
    response.end(bytes.subarray(0, fault.bytes));
    return;
  }
  if (fault?.kind === 'trickle') {
    for (let at = 0; at < bytes.length; at += fault.pieceBytes) {
      response.write(bytes.subarray(at, at + fault.pieceBytes));
      await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
    return;
  }
  response.end(bytes);
}
