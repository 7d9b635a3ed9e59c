import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApiServer, type ApiServer, type ApiServerOptions } from '../../src/apiserver/api-server.ts';
import { Pki, type KeyPair } from '../../src/daemon/pki.ts';
import { writeKubeconfig } from '../../src/daemon/kubeconfig.ts';
import { HttpKubeClient } from '../../src/kube/client/http-kube-client.ts';

export interface RawAnswer {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON, in the shape that the test expects; throws when it is not JSON. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters
  json<T = Record<string, unknown>>(): T;
}

export interface RawRequest {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly headers?: Record<string, string>;
  /** Sends no client certificate. */
  readonly anonymous?: boolean;
  readonly as?: KeyPair;
}

/** A real API server on a free port of 127.0.0.1, with certificates of its own, in a directory that goes with it. */
export interface TestApi {
  readonly server: ApiServer;
  readonly pki: Pki;
  readonly directory: string;
  readonly kubeconfig: string;
  /** The administrator's client. */
  readonly client: HttpKubeClient;
  /** Makes a client certificate and the client that uses it. */
  clientFor(user: string, group?: string): Promise<HttpKubeClient>;
  certificate(user: string, group?: string): Promise<KeyPair>;
  send(method: string, path: string, request?: RawRequest): Promise<RawAnswer>;
  /** Closes the server and opens it again with the same port and database; `meanwhile` runs in between. */
  restart(meanwhile?: (databasePath: string) => void): Promise<void>;
  close(): Promise<void>;
}

export async function startTestApi(options: Partial<ApiServerOptions> = {}): Promise<TestApi> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-api-'));
  const pki = await Pki.open(join(directory, 'pki'));
  const names = ['localhost', '127.0.0.1'];
  const serving = await pki.issue({ file: 'server', commonName: 'kube-apiserver', usage: 'server', names });
  let count = 0;
  const certificate = (user: string, group?: string): Promise<KeyPair> =>
    pki.issue({
      file: `client-${count++}`,
      commonName: user,
      usage: 'client',
      ...(group === undefined ? {} : { organization: group }),
    });
  const admin = await certificate('kubernetes-admin', 'system:masters');
  const kubelet = await certificate('kube-apiserver-kubelet-client', 'system:masters');
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const databasePath = join(directory, 'api.db');
  const start = (port: number): Promise<ApiServer> =>
    createApiServer({
      databasePath,
      tls: { key: serving.key, cert: serving.cert, clientCa: pki.ca.cert },
      host: '127.0.0.1',
      port,
      serviceAccountSigningKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      kubelet: { ca: pki.ca.cert, cert: kubelet.cert, key: kubelet.key },
      ...options,
    });
  let server = await start(0);
  // A handshake costs more than most requests.
  let agent = new Agent({ keepAlive: true });
  const clients: HttpKubeClient[] = [];
  const clientWith = (pair: KeyPair): HttpKubeClient => {
    const client = new HttpKubeClient({
      server: server.url,
      ca: pki.ca.cert,
      cert: pair.cert,
      key: pair.key,
    });
    clients.push(client);
    return client;
  };
  const kubeconfig = join(directory, 'kubeconfig');
  const writeConfig = (): Promise<void> =>
    writeKubeconfig(kubeconfig, { name: 'test', server: server.url, ca: pki.ca.cert, user: admin });
  await writeConfig();
  let client = clientWith(admin);
  return {
    get server() {
      return server;
    },
    get client() {
      return client;
    },
    pki,
    directory,
    kubeconfig,
    certificate,
    clientFor: async (user, group) => clientWith(await certificate(user, group)),
    send: (method, path, request = {}) =>
      send({ server, pki, agent }, request.as ?? admin, method, path, request),
    restart: async (meanwhile) => {
      const { port } = server;
      agent.destroy();
      agent = new Agent({ keepAlive: true });
      await client.close();
      await server.close();
      meanwhile?.(databasePath);
      server = await start(port);
      await writeConfig();
      client = clientWith(admin);
    },
    close: async () => {
      for (const each of clients) await each.close();
      agent.destroy();
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function send(
  { server, pki, agent }: { server: ApiServer; pki: Pki; agent: Agent },
  pair: KeyPair,
  method: string,
  path: string,
  request: RawRequest,
): Promise<RawAnswer> {
  const { body, anonymous = false } = request;
  const payload =
    body === undefined || typeof body === 'string' || body instanceof Uint8Array
      ? body
      : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(
      `${server.url}${path}`,
      {
        method,
        ca: pki.ca.cert,
        agent,
        ...(anonymous ? {} : { cert: pair.cert, key: pair.key }),
        headers: {
          accept: request.accept ?? 'application/json',
          ...(payload === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
          ...(payload === undefined ? {} : { 'content-length': Buffer.byteLength(payload) }),
          ...request.headers,
        },
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({
            code: answer.statusCode ?? 0,
            headers: answer.headers,
            text,
            // oxlint-disable-next-line typescript/no-unnecessary-type-parameters
            json: <T>() => JSON.parse(text) as T,
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(payload);
  });
}
