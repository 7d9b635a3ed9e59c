// The client of the registry's measurements, in a process of its own: `registry.ts` sends it one job at a time.
import { createHash, randomFillSync } from 'node:crypto';
import { expectStatus, headerOf, requestHead, Wire } from './registry-wire.ts';

/** What the load generator can be asked to do. */
export type Job =
  | { readonly kind: 'seed'; readonly address: string; readonly blobBytes: number; readonly tags: number }
  | {
      readonly kind: 'manifests';
      readonly address: string;
      readonly connections: number;
      readonly seconds: number;
    }
  | {
      readonly kind: 'blobs';
      readonly address: string;
      readonly path: string;
      readonly connections: number;
      readonly seconds: number;
    }
  | { readonly kind: 'pushLarge'; readonly address: string; readonly bytes: number }
  | { readonly kind: 'pushSmall'; readonly address: string; readonly count: number; readonly clients: number }
  | {
      readonly kind: 'downloads';
      readonly address: string;
      readonly path: string;
      readonly bytes: number;
      readonly connections: number;
    }
  | {
      readonly kind: 'tags';
      readonly address: string;
      readonly pages: readonly TagPage[];
      readonly times: number;
    };

/** A page of tags, by the number of the tag before it. */
export interface TagPage {
  readonly after?: number;
  /** As many as the registry gives when it is absent. */
  readonly count?: number;
}

/** What a job came to. */
export interface Done {
  /** Requests, blobs or downloads. */
  readonly count: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Processor time that the load generator spent. */
  readonly cpuSeconds: number;
  /** Path of a blob that was pushed. */
  readonly path?: string;
  /** Milliseconds of each request, by page. */
  readonly times?: readonly (readonly number[])[];
}

const REPOSITORY = 'bench/image';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const SMALL_BYTES = 4096;
/** Tags set by one request, as many as a registry takes. */
const TAGS_AT_ONCE = 32;
/** Each of many downloads reads into a buffer of its own. */
const SMALL_READ = 64 * 1024;
const SEEDING_CLIENTS = 8;

process.on('message', (job: Job) => {
  run(job).then(
    (done) => process.send?.({ done }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  );
});

async function run(job: Job): Promise<Done> {
  switch (job.kind) {
    case 'seed':
      return seed(job.address, job.blobBytes, job.tags);
    case 'manifests': {
      const head = requestHead('GET', job.address, `/v2/${REPOSITORY}/manifests/v1`, {
        Accept: MANIFEST_TYPE,
      });
      return getMany(job, head);
    }
    case 'blobs':
      return getMany(job, requestHead('GET', job.address, job.path));
    case 'pushLarge':
      return pushLarge(job.address, job.bytes);
    case 'pushSmall':
      return pushSmall(job.address, job.count, job.clients);
    case 'downloads':
      return downloads(job);
    case 'tags':
      return listTags(job);
  }
}

/** Measures wall time and the processor time of this process. */
async function timed(work: () => Promise<{ count: number; bytes: number }>): Promise<Done> {
  const cpu = process.cpuUsage();
  const started = performance.now();
  const { count, bytes } = await work();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { count, bytes, seconds, cpuSeconds: (user + system) / 1e6 };
}

async function withWires<T>(
  address: string,
  count: number,
  work: (wires: readonly Wire[]) => Promise<T>,
  readBytes?: number,
): Promise<T> {
  const wires: Wire[] = [];
  try {
    for (let i = 0; i < count; i++) wires.push(await Wire.open(address, readBytes));
    return await work(wires);
  } finally {
    for (const wire of wires) wire.close();
  }
}

/** Asks for one thing over and over on each connection. */
function getMany(
  { address, connections, seconds }: { address: string; connections: number; seconds: number },
  head: Buffer,
): Promise<Done> {
  return withWires(address, connections, async (wires) => {
    for (const wire of wires) expectStatus(await wire.send(head), 200, 'the first request');
    return timed(async () => {
      const end = performance.now() + seconds * 1000;
      let count = 0;
      let bytes = 0;
      const each = async (wire: Wire): Promise<void> => {
        while (performance.now() < end) {
          const answer = expectStatus(await wire.send(head), 200, 'a request');
          count++;
          bytes += answer.bytes;
        }
      };
      await Promise.all(wires.map(each));
      return { count, bytes };
    });
  });
}

async function seed(address: string, blobBytes: number, tags: number): Promise<Done> {
  const config = await pushBlob(address, Buffer.from('{}'));
  const layer = await pushBlob(address, bytesOf(blobBytes));
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size: 2 },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: layer, size: blobBytes }],
    }),
  );
  const put = (wire: Wire, path: string): Promise<unknown> => {
    const headers = { 'Content-Type': MANIFEST_TYPE, 'Content-Length': String(manifest.length) };
    const head = requestHead('PUT', address, `/v2/${REPOSITORY}/manifests/${path}`, headers);
    return wire.send(head, { body: manifest }).then((answer) => expectStatus(answer, 201, 'a manifest'));
  };
  await withWires(address, SEEDING_CLIENTS, async (wires) => {
    const [first] = wires;
    if (first !== undefined) await put(first, 'v1');
    let next = 0;
    const each = async (wire: Wire): Promise<void> => {
      while (next < tags) {
        const names: string[] = [];
        while (names.length < TAGS_AT_ONCE && next < tags) names.push(tagName(next++));
        await put(wire, `${digestOf(manifest)}?${names.map((name) => `tag=${name}`).join('&')}`);
      }
    };
    await Promise.all(wires.map(each));
  });
  return {
    count: tags,
    bytes: blobBytes,
    seconds: 0,
    cpuSeconds: 0,
    path: `/v2/${REPOSITORY}/blobs/${layer}`,
  };
}

/** Names the tags so that their order is that of their numbers. */
function tagName(index: number): string {
  return `t${String(index).padStart(7, '0')}`;
}

async function pushLarge(address: string, bytes: number): Promise<Done> {
  const content = bytesOf(bytes);
  randomFillSync(content, 0, 64);
  const digest = digestOf(content);
  return withWires(address, 1, ([wire]) =>
    timed(async () => {
      if (wire !== undefined) await upload(wire, address, content, digest, 'patch');
      return { count: 1, bytes };
    }),
  );
}

async function pushSmall(address: string, count: number, clients: number): Promise<Done> {
  const blobs = Array.from({ length: count }, () => {
    const content = randomFillSync(Buffer.allocUnsafe(SMALL_BYTES));
    return { content, digest: digestOf(content) };
  });
  return withWires(address, clients, (wires) =>
    timed(async () => {
      let next = 0;
      const each = async (wire: Wire): Promise<void> => {
        for (let blob = blobs[next++]; blob !== undefined; blob = blobs[next++])
          await upload(wire, address, blob.content, blob.digest, 'put');
      };
      await Promise.all(wires.map(each));
      return { count, bytes: count * SMALL_BYTES };
    }),
  );
}

/** Pushes a blob with a body in PATCH, as docker and podman do, or in PUT, as containerd does. */
async function upload(
  wire: Wire,
  address: string,
  content: Buffer,
  digest: string,
  body: 'patch' | 'put',
): Promise<void> {
  const none = { 'Content-Length': '0' };
  const all = { 'Content-Type': 'application/octet-stream', 'Content-Length': String(content.length) };
  const post = requestHead('POST', address, `/v2/${REPOSITORY}/blobs/uploads/`, none);
  let location = pathOf(headerOf(expectStatus(await wire.send(post), 202, 'an upload'), 'Location'));
  if (body === 'patch') {
    const patched = await wire.send(requestHead('PATCH', address, location, all), { body: content });
    location = pathOf(headerOf(expectStatus(patched, 202, 'a chunk'), 'Location'));
  }
  const target = `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`;
  const put =
    body === 'patch'
      ? await wire.send(requestHead('PUT', address, target, none))
      : await wire.send(requestHead('PUT', address, target, all), { body: content });
  expectStatus(put, 201, 'the end of an upload');
}

async function pushBlob(address: string, content: Buffer): Promise<string> {
  const digest = digestOf(content);
  await withWires(address, 1, async ([wire]) => {
    if (wire !== undefined) await upload(wire, address, content, digest, 'put');
  });
  return digest;
}

/** Downloads one blob many times at once: no body is read before all have begun, and every byte is compared. */
function downloads({
  address,
  path,
  bytes,
  connections,
}: {
  address: string;
  path: string;
  bytes: number;
  connections: number;
}): Promise<Done> {
  const expected = bytesOf(bytes);
  const head = requestHead('GET', address, path);
  return withWires(
    address,
    connections,
    (wires) =>
      timed(async () => {
        let begun = 0;
        const { promise: allBegun, resolve } = Promise.withResolvers<void>();
        const onHead = (): Promise<void> => {
          if (++begun === connections) resolve();
          return allBegun;
        };
        const each = async (wire: Wire): Promise<void> => {
          let same = true;
          const onBody = (chunk: Buffer, offset: number): void => {
            same &&= chunk.compare(expected, offset, offset + chunk.length) === 0;
          };
          const answer = expectStatus(await wire.send(head, { onHead, onBody }), 200, 'a download');
          if (!same || answer.bytes !== bytes)
            throw new Error('Cannot measure: a download brought other bytes');
        };
        await Promise.all(wires.map(each));
        return { count: connections, bytes: connections * bytes };
      }),
    SMALL_READ,
  );
}

function listTags({
  address,
  pages,
  times,
}: {
  address: string;
  pages: readonly TagPage[];
  times: number;
}): Promise<Done> {
  return withWires(address, 1, async ([wire]) => {
    const measured: number[][] = pages.map(() => []);
    for (let time = 0; wire !== undefined && time < times; time++) {
      for (const [index, { after, count }] of pages.entries()) {
        const query = new URLSearchParams({
          ...(after === undefined ? {} : { last: tagName(after) }),
          ...(count === undefined ? {} : { n: String(count) }),
        }).toString();
        const head = requestHead('GET', address, `/v2/${REPOSITORY}/tags/list?${query}`);
        const started = performance.now();
        expectStatus(await wire.send(head), 200, 'a list of tags');
        measured[index]?.push(performance.now() - started);
      }
    }
    return { count: times * pages.length, bytes: 0, seconds: 0, cpuSeconds: 0, times: measured };
  });
}

/** Returns bytes that do not compress, the same in every process for the same length. */
function bytesOf(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 0x9e3779b9;
  for (let at = 0; at + 4 <= length; at += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, at);
  }
  return bytes;
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function pathOf(location: string): string {
  return location.replace(/^https?:\/\/[^/]+/, '');
}
