import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { anyJson, deepJson, jsonOf, listOf, member, objectOf } from '../../test/support/json-text.ts';
import { chooseManifest, MAX_INDEX_DEPTH, rankEntries, type ManifestReader } from './choose-manifest.ts';
import type { Descriptor } from './descriptor.ts';
import { digestOf } from './digest.ts';
import { parseImageConfig, type ImageConfig } from './image-config.ts';
import { ManifestError } from './manifest-error.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from './manifest.ts';
import { MEDIA_TYPE } from './media-type.ts';
import { exactMatcher, fallbackMatcher } from './platform-matcher.ts';
import type { Platform } from './platform.ts';

const FUZZ = { numRuns: Number(process.env.FUZZ_RUNS ?? 1000) };
const AMD64: Platform = { os: 'linux', architecture: 'amd64' };
const MATCHER = exactMatcher(AMD64, 'linux');

function descriptor(
  text: string,
  mediaType: string = MEDIA_TYPE.ociManifest,
  platform?: Platform,
): Descriptor {
  return {
    mediaType,
    digest: digestOf(text),
    size: Buffer.byteLength(text),
    ...(platform === undefined ? {} : { platform }),
  };
}

const CONFIG = descriptor('{}', MEDIA_TYPE.ociConfig);
const manifestText = (extra: object = {}): string =>
  JSON.stringify({
    schemaVersion: 2,
    config: CONFIG,
    layers: [descriptor('layer', MEDIA_TYPE.ociLayerGzip)],
    ...extra,
  });
const indexText = (manifests: readonly Descriptor[], extra: object = {}): string =>
  JSON.stringify({ schemaVersion: 2, manifests, ...extra });

function refusal(body: string, mediaType: string): { code: string; message: string } {
  try {
    parseManifest(body, mediaType);
  } catch (error) {
    assert.ok(error instanceof ManifestError, String(error));
    return { code: error.code, message: error.message };
  }
  return assert.fail('accepted');
}

test('a manifest is read with its unknown fields', () => {
  const subject = descriptor('s');
  const text = manifestText({ artifactType: 'a/b', subject, annotations: { __proto__x: 'y' }, extra: [1] });
  const read = parseManifest(text, `${MEDIA_TYPE.ociManifest}; charset=utf-8`);
  assert.ok(read.kind === 'manifest');
  assert.deepEqual(read.config, CONFIG);
  assert.deepEqual(read.layers.length, 1);
  assert.deepEqual(
    [read.artifactType, read.subject, read.annotations],
    ['a/b', subject, { __proto__x: 'y' }],
  );
  assert.deepEqual(read.document.extra, [1]);
});

test('an index is read with the platforms of its entries', () => {
  const platform = {
    os: 'windows',
    architecture: 'amd64',
    variant: 'v2',
    'os.version': '10',
    'os.features': ['win32k'],
  };
  const read = parseManifest(
    indexText([descriptor('a', MEDIA_TYPE.dockerManifest, platform)]),
    MEDIA_TYPE.dockerManifestList,
  );
  assert.ok(read.kind === 'index');
  assert.deepEqual(read.manifests[0]?.platform, platform);
});

test('lists that are null are empty', () => {
  const index = parseManifest('{"schemaVersion":2,"manifests":null}', MEDIA_TYPE.ociIndex);
  assert.ok(index.kind === 'index');
  assert.deepEqual(index.manifests, []);
  const manifest = parseManifest(manifestText({ layers: null }), MEDIA_TYPE.ociManifest);
  assert.ok(manifest.kind === 'manifest');
  assert.deepEqual(manifest.layers, []);
});

test('15.16 body and media type must agree', () => {
  const { ociManifest, ociIndex, dockerManifest } = MEDIA_TYPE;
  const table: [body: string, mediaType: string, code: string, message: string][] = [
    [
      indexText([]),
      ociManifest,
      'WRONG_KIND',
      `media-type: expected manifest but found index (${ociManifest})`,
    ],
    [
      manifestText({ mediaType: ociIndex }),
      dockerManifest,
      'WRONG_KIND',
      `media-type: expected manifest but found index (${dockerManifest})`,
    ],
    [manifestText(), ociIndex, 'WRONG_KIND', `media-type: expected index but found manifest (${ociIndex})`],
    [
      indexText([], { mediaType: ociManifest }),
      ociIndex,
      'WRONG_KIND',
      `media-type: expected index but found manifest (${ociIndex})`,
    ],
    [
      indexText([], { layers: [] }),
      ociIndex,
      'WRONG_KIND',
      `media-type: expected index but found manifest (${ociIndex})`,
    ],
    ['{"schemaVersion":1,"fsLayers":[]}', ociManifest, 'SCHEMA_1', 'media-type: schema 1 not supported'],
    ['{}', MEDIA_TYPE.dockerManifestV1Signed, 'SCHEMA_1', 'media-type: schema 1 not supported'],
    ['{}', 'text/plain', 'WRONG_KIND', 'Cannot read manifest: media type "text/plain" is none of a manifest'],
  ];
  for (const [body, mediaType, code, message] of table)
    assert.deepEqual(refusal(body, mediaType), { code, message });
});

test('missing and wrong fields are named', () => {
  const table: [body: string, mediaType: string, message: RegExp][] = [
    ['{"config":{}}', MEDIA_TYPE.ociManifest, /schemaVersion is not 2/],
    ['{"schemaVersion":2}', MEDIA_TYPE.ociManifest, /config is not an object/],
    ['{"schemaVersion":2}', MEDIA_TYPE.ociIndex, /manifests is not a list/],
    [manifestText({ layers: {} }), MEDIA_TYPE.ociManifest, /layers is not a list/],
    [
      manifestText({ layers: [{ ...CONFIG, digest: 'sha256:12' }] }),
      MEDIA_TYPE.ociManifest,
      /layers\[0\]\.digest is not a digest \(invalid checksum digest length\)/,
    ],
    [manifestText({ layers: [{ ...CONFIG, size: -1 }] }), MEDIA_TYPE.ociManifest, /layers\[0\]\.size/],
    [manifestText({ layers: [{ ...CONFIG, size: 1.5 }] }), MEDIA_TYPE.ociManifest, /layers\[0\]\.size/],
    [manifestText({ annotations: { a: 1 } }), MEDIA_TYPE.ociManifest, /annotations is not a map of strings/],
    ['[]', MEDIA_TYPE.ociManifest, /not a JSON object/],
    ['{', MEDIA_TYPE.ociManifest, /Cannot read manifest: /],
  ];
  for (const [body, mediaType, message] of table) assert.match(refusal(body, mediaType).message, message);
});

test('what is too large is not even parsed', () => {
  assert.equal(refusal(' '.repeat(MAX_MANIFEST_BYTES + 1), MEDIA_TYPE.ociManifest).code, 'TOO_LARGE');
});

test('an image config is read, null counting as absent', () => {
  const diffId = digestOf('layer');
  const read = parseImageConfig(
    JSON.stringify({
      os: 'linux',
      architecture: 'arm64',
      variant: 'v8',
      created: '2026-01-01T00:00:00Z',
      config: {
        User: '1000:0',
        Env: ['A=b'],
        Cmd: null,
        Entrypoint: ['/x'],
        WorkingDir: '/w',
        ExposedPorts: { '80/tcp': {} },
        Labels: { a: 'b' },
        StopSignal: 'SIGINT',
      },
      rootfs: { type: 'layers', diff_ids: [diffId] },
      history: [{ created_by: 'x' }],
    }),
  );
  assert.deepEqual(read.platform, { os: 'linux', architecture: 'arm64', variant: 'v8' });
  assert.deepEqual(read.diffIds, [diffId]);
  assert.deepEqual(read.config, {
    user: '1000:0',
    env: ['A=b'],
    entrypoint: ['/x'],
    cmd: [],
    workingDir: '/w',
    exposedPorts: ['80/tcp'],
    volumes: [],
    labels: { a: 'b' },
    stopSignal: 'SIGINT',
  });
  assert.deepEqual(parseImageConfig('{}').config.env, []);
  assert.throws(() => parseImageConfig('{"config":{"Env":"A=b"}}'), /config\.Env is not a list of strings/);
});

/** Documents by digest; whatever is asked twice is counted. */
class Documents implements ManifestReader {
  readonly #texts = new Map<string, string>();
  readonly read: string[] = [];

  add(text: string, mediaType: string, platform?: Platform): Descriptor {
    const made = descriptor(text, mediaType, platform);
    this.#texts.set(made.digest, text);
    return made;
  }

  manifest({ digest, mediaType }: Descriptor): ReturnType<ManifestReader['manifest']> {
    this.read.push(digest);
    return Promise.resolve(parseManifest(this.#texts.get(digest) ?? '', mediaType));
  }

  config({ digest }: Descriptor): Promise<ImageConfig> {
    this.read.push(digest);
    return Promise.resolve(parseImageConfig(this.#texts.get(digest) ?? ''));
  }

  /** Adds a manifest whose config names `platform`. */
  image(platform: Platform, said?: Platform, note = ''): Descriptor {
    const config = this.add(JSON.stringify({ ...platform, note }), MEDIA_TYPE.ociConfig);
    return this.add(JSON.stringify({ schemaVersion: 2, config, layers: [] }), MEDIA_TYPE.ociManifest, said);
  }

  index(manifests: readonly Descriptor[]): Descriptor {
    return this.add(indexText(manifests), MEDIA_TYPE.ociIndex);
  }
}

const ARM64: Platform = { os: 'linux', architecture: 'arm64' };
const I386: Platform = { os: 'linux', architecture: '386' };
const NOTHING: Platform = { os: 'unknown', architecture: 'unknown' };

test('15.12 the best entry wins, entries without platform come last, other content not at all', () => {
  const entries = [
    descriptor('bare'),
    descriptor('old', MEDIA_TYPE.ociManifest, I386),
    descriptor('arm', MEDIA_TYPE.ociManifest, ARM64),
    descriptor('blob', MEDIA_TYPE.ociLayer, AMD64),
    descriptor('first', MEDIA_TYPE.ociManifest, AMD64),
    descriptor('second', MEDIA_TYPE.ociManifest, AMD64),
  ];
  const names = new Map(
    ['bare', 'old', 'arm', 'blob', 'first', 'second'].map((name) => [digestOf(name), name]),
  );
  assert.deepEqual(
    rankEntries(entries, fallbackMatcher(AMD64)).map(({ digest }) => names.get(digest)),
    ['first', 'second', 'old', 'bare'],
  );
});

test('15.13 an entry without platform is judged by its config, a manifest named directly not at all', async () => {
  const documents = new Documents();
  const arm = documents.image(ARM64);
  const amd = documents.image(AMD64);
  const index = documents.index([arm, amd]);
  assert.equal((await chooseManifest(index, MATCHER, documents)).descriptor.digest, amd.digest);
  assert.equal((await chooseManifest(arm, MATCHER, documents)).descriptor.digest, arm.digest);
});

test('15.14 nested indexes are followed, attestations never match', async () => {
  const documents = new Documents();
  const amd = documents.image(AMD64, AMD64);
  const attestation = documents.image(NOTHING, NOTHING, 'attestation');
  const inner = documents.index([attestation, amd]);
  const other = documents.index([documents.image(ARM64, ARM64)]);
  const outer = documents.index([other, inner]);
  assert.equal((await chooseManifest(outer, MATCHER, documents)).descriptor.digest, amd.digest);
});

test('15.15 nothing that fits is a named error', async () => {
  const documents = new Documents();
  const index = documents.index([documents.image(ARM64, ARM64), documents.image(NOTHING, NOTHING)]);
  await assert.rejects(chooseManifest(index, MATCHER, documents), {
    code: 'NO_PLATFORM',
    message: `no match for platform in manifest: not found`,
  });
});

test('15.14 indexes in indexes without end are given up', async () => {
  const documents = new Documents();
  let index = documents.index([]);
  for (let i = 0; i <= MAX_INDEX_DEPTH + 1; i++) index = documents.index([index]);
  await assert.rejects(chooseManifest(index, MATCHER, documents), { code: 'TOO_LARGE' });
});

test('15.19 nothing but the matcher decides about the platform: the same index serves each host its own', async () => {
  const documents = new Documents();
  const index = documents.index([documents.image(ARM64, ARM64), documents.image(AMD64, AMD64)]);
  for (const host of [ARM64, AMD64]) {
    const { manifest } = await chooseManifest(index, exactMatcher(host), documents);
    assert.deepEqual((await documents.config(manifest.config)).platform, host);
  }
});

test('any document is read or refused with a code', () => {
  const or = (...right: unknown[]): fc.Arbitrary<string> => fc.oneof(jsonOf(...right), anyJson);
  const descriptor = objectOf(
    [member(['platform', 'annotations', 'urls', 'size', '__proto__'], anyJson)],
    [
      member(['mediaType'], or(MEDIA_TYPE.ociManifest)),
      member(['digest'], or(digestOf('x'))),
      member(['size'], or(1)),
    ],
  );
  const descriptors = listOf(descriptor);
  const others = [
    member(['artifactType', 'annotations', 'mediaType', 'layers', 'schemaVersion', '__proto__'], anyJson),
    member(['subject', 'config'], descriptor),
  ];
  const version = member(['schemaVersion'], jsonOf(2));
  const values = fc.oneof(
    deepJson,
    objectOf(others, [version, member(['config'], descriptor), member(['layers'], descriptors)]),
    objectOf(others, [version, member(['manifests'], descriptors)]),
    fc.string(),
  );
  fc.assert(
    fc.property(values, fc.constantFrom(MEDIA_TYPE.ociManifest, MEDIA_TYPE.ociIndex), (body, mediaType) => {
      for (const read of [() => parseManifest(body, mediaType), () => parseImageConfig(body)]) {
        try {
          read();
        } catch (error) {
          assert.ok(error instanceof ManifestError, String(error));
        }
      }
    }),
    // A case is a whole document, most of them right in much of what they say.
    { numRuns: Math.min(40_000, FUZZ.numRuns) },
  );
});
