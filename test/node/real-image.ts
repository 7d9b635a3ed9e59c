import { createServer, type Server } from 'node:http';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeTinyRoot } from '../../src/runtime/_tiny-root.ts';
import { describe, OCI_MANIFEST, sha256, type ServedRegistry } from '../support/serve-registry.ts';
import { tarOf, type TarOfEntry } from '../support/tar-of.ts';

/** Ends at once when asked to, as a container's first process rarely does by itself. */
const WAIT = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep 1000000 & wait'];

/** A layer with a shell and little else, made of this machine's own programs. */
export async function tinyLayer(): Promise<Buffer> {
  const root = await makeTinyRoot();
  try {
    return tarOf(...(await entriesOf(root, '')));
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function entriesOf(root: string, path: string): Promise<TarOfEntry[]> {
  const entries: TarOfEntry[] = [];
  for (const entry of await readdir(join(root, path), { withFileTypes: true })) {
    const name = path === '' ? entry.name : `${path}/${entry.name}`;
    if (entry.isDirectory())
      entries.push({ path: `${name}/`, mode: 0o755 }, ...(await entriesOf(root, name)));
    else {
      const { mode } = await stat(join(root, name));
      entries.push({ path: name, mode: mode & 0o777, content: await readFile(join(root, name)) });
    }
  }
  return entries;
}

/** Pushes an image that waits, and describes its manifest as an index does. */
export async function pushTinyImage(
  served: Pick<ServedRegistry, 'pushBlob' | 'pushManifest'>,
  layer: Buffer,
  repository: string,
  reference: string,
  options: { architecture?: string; cmd?: readonly string[] } = {},
): Promise<{ mediaType: string; digest: string; size: number }> {
  const config = JSON.stringify({
    architecture: options.architecture ?? 'amd64',
    os: 'linux',
    config: { Cmd: options.cmd ?? WAIT, Labels: { name: `${repository}:${reference}` } },
    rootfs: { type: 'layers', diff_ids: [sha256(layer)] },
  });
  await served.pushBlob(repository, config);
  await served.pushBlob(repository, layer);
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describe(config, 'application/vnd.oci.image.config.v1+json'),
    layers: [
      {
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest: sha256(layer),
        size: layer.length,
      },
    ],
  };
  await served.pushManifest(repository, reference, manifest);
  return describe(JSON.stringify(manifest), OCI_MANIFEST);
}

/** Puts a door with Basic authentication in front of a registry that is open, as a web server would; returns `host:port`. */
export async function basicFront(
  t: Pick<TestContext, 'after'>,
  behind: ServedRegistry,
  login: { user: string; password: string },
  seen: (request: string) => void = () => undefined,
): Promise<string> {
  const wanted = `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`;
  const server: Server = createServer((request, response) => {
    if (request.headers.authorization !== wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="private"' });
      response.end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
      return;
    }
    seen(`${request.method ?? ''} ${request.url ?? ''}`);
    behind
      .send(request.method ?? 'GET', request.url ?? '/', { headers: acceptOf(request.headers.accept) })
      .then(async (answer) => {
        const body = Buffer.from(await answer.arrayBuffer());
        response.writeHead(answer.status, Object.fromEntries(answer.headers));
        response.end(body);
      })
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function acceptOf(accept: string | undefined): Record<string, string> {
  return accept === undefined ? {} : { accept };
}

const AARCH64 = 0xb7;
const X86_64 = 0x3e;
/** Where an ELF header says for which processor it is. */
const MACHINE_OFFSET = 18;

/** A program of this machine that claims to be for another processor. */
export async function foreignProgram(): Promise<{ path: string; mode: number; content: Buffer }> {
  const root = await makeTinyRoot();
  try {
    const content = await readFile(join(root, 'bin/true'));
    content.writeUInt16LE(process.arch === 'arm64' ? X86_64 : AARCH64, MACHINE_OFFSET);
    return { path: 'bin/foreign', mode: 0o755, content };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
