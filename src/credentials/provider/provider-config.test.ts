import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { CredentialError } from '../credential-error.ts';
import { decodeProviderConfig, loadProviderConfig } from './provider-config.ts';
import { startCredentialProviders } from './start-credential-providers.ts';
import { aggregate, validateProviderConfig } from './validate-provider-config.ts';

const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 1000) };

const head = 'apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n';
const V1 = 'credentialprovider.kubelet.k8s.io/v1';

function yamlFor(...names: string[]): string {
  const provider = (name: string): string =>
    `- name: ${name}\n  matchImages: ["*.r.io"]\n  defaultCacheDuration: 12h\n  apiVersion: ${V1}\n`;
  return `${head}providers:\n${names.map(provider).join('')}`;
}

async function directory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'drayage-providers-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test('9.4 all fields of a provider are read', () => {
  const text = `${head}providers:
- name: acr
  matchImages: ["*.azurecr.io", "r.io:5000/team"]
  defaultCacheDuration: 1h30m
  apiVersion: ${V1}
  args: [get, --now]
  env:
  - {name: A, value: "1"}
  tokenAttributes:
    serviceAccountTokenAudience: aud
    requireServiceAccount: true
    cacheType: Token
    requiredServiceAccountAnnotationKeys: [example.com/a]
    optionalServiceAccountAnnotationKeys: [b]
`;
  assert.deepEqual(decodeProviderConfig(text), [
    {
      name: 'acr',
      matchImages: ['*.azurecr.io', 'r.io:5000/team'],
      defaultCacheDurationMs: 5_400_000,
      apiVersion: V1,
      args: ['get', '--now'],
      env: [{ name: 'A', value: '1' }],
      tokenAttributes: {
        serviceAccountTokenAudience: 'aud',
        requireServiceAccount: true,
        cacheType: 'Token',
        requiredServiceAccountAnnotationKeys: ['example.com/a'],
        optionalServiceAccountAnnotationKeys: ['b'],
      },
    },
  ]);
});

for (const version of ['v1alpha1', 'v1beta1', 'v1']) {
  test(`9.2 ${version} is read, as JSON too`, () => {
    const config = {
      apiVersion: `kubelet.config.k8s.io/${version}`,
      kind: 'CredentialProviderConfig',
      providers: [{ name: 'a' }],
    };
    assert.equal(decodeProviderConfig(JSON.stringify(config))[0]?.name, 'a');
  });
}

const undecodable: [name: string, text: string, message: RegExp][] = [
  [
    'an unknown field',
    `${yamlFor('a')}  extra: 1\n`,
    /^strict decoding error: unknown field "providers\[0\]\.extra"$/,
  ],
  [
    'a field in the wrong case',
    `${head}Providers: []\n`,
    /^strict decoding error: unknown field "Providers"$/,
  ],
  [
    'tokenAttributes before v1',
    `${yamlFor('a')}  tokenAttributes: {cacheType: Token}\n`.replace('io/v1\nkind', 'io/v1beta1\nkind'),
    /^strict decoding error: unknown field "providers\[0\]\.tokenAttributes"$/,
  ],
  [
    'a duplicate field in JSON',
    `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[],"providers":[]}`,
    /^strict decoding error: duplicate field "providers"$/,
  ],
  [
    'another kind',
    head.replace('CredentialProviderConfig', 'KubeletConfiguration'),
    /^no kind "KubeletConfiguration" is registered for version "kubelet\.config\.k8s\.io\/v1"$/,
  ],
  [
    'another group',
    head.replace('kubelet.config', 'other.config'),
    /^no kind "CredentialProviderConfig" is registered for version "other\.config\.k8s\.io\/v1"$/,
  ],
  ['another version', head.replace('/v1', '/v2'), /^no kind .* "kubelet\.config\.k8s\.io\/v2"$/],
  ['no kind', 'apiVersion: kubelet.config.k8s.io/v1\n', /^Object 'Kind' is missing$/],
  ['a bad duration', yamlFor('a').replace('12h', 'soon'), /^time: invalid duration "soon"$/],
  [
    'a duration that is a number',
    yamlFor('a').replace('12h', '12'),
    /^json: cannot unmarshal number into Go struct field providers\[0\]\.defaultCacheDuration of type string$/,
  ],
  ['broken YAML', `${head}providers: [\n`, /^error converting YAML to JSON: yaml: line \d+: [A-Z_]+$/],
  [
    'a duplicate field in YAML',
    `${head}providers: []\nproviders: []\n`,
    /^error converting YAML to JSON: yaml: line \d+: DUPLICATE_KEY$/,
  ],
];
for (const [name, text, message] of undecodable) {
  test(`9.2 decoding is strict: ${name}`, () => {
    assert.throws(() => decodeProviderConfig(text), { message });
  });
}

test('9.2 a directory gives its .json, .yaml and .yml files in the order of their names, without sub-directories', async (t) => {
  const path = await directory(t);
  await writeFile(join(path, 'b.yaml'), yamlFor('b1', 'b2'));
  await writeFile(join(path, 'a.yml'), yamlFor('a'));
  await writeFile(
    join(path, 'c.json'),
    JSON.stringify({
      apiVersion: 'kubelet.config.k8s.io/v1',
      kind: 'CredentialProviderConfig',
      providers: [{ name: 'c' }],
    }),
  );
  await writeFile(join(path, 'ignored.txt'), 'x');
  await mkdir(join(path, 'sub.yaml'));
  const loaded = await loadProviderConfig(path);
  assert.deepEqual(
    loaded.providers.map(({ name }) => name),
    ['a', 'b1', 'b2', 'c'],
  );
});

test('9.3 the hash covers the length and the bytes of each file', async (t) => {
  const path = await directory(t);
  const texts = [yamlFor('a'), yamlFor('b')];
  const hash = createHash('sha256');
  for (const [index, text] of texts.entries()) {
    await writeFile(join(path, `${index}.yaml`), text);
    const length = Buffer.alloc(8);
    length.writeUInt32BE(Buffer.byteLength(text), 4);
    hash.update(Buffer.concat([length, Buffer.from(text)]));
  }
  assert.equal((await loadProviderConfig(path)).hash, `sha256:${hash.digest('hex')}`);
});

test('9.1 what keeps a node from starting is worded as the kubelet words it', async (t) => {
  const path = await directory(t);
  const bin = join(path, 'bin');
  const config = join(path, 'config.yaml');
  const start = (configPath: string, binDirectory = bin) =>
    startCredentialProviders({ configPath, binDirectory });
  await assert.rejects(start(config, join(path, 'none')), {
    message: `plugin binary directory ${path}/none did not exist`,
  });
  await mkdir(bin);
  await assert.rejects(start(''), { message: 'credential provider config path is empty' });
  await assert.rejects(start(config), {
    message: `unable to access path "${config}": stat ${config}: no such file or directory`,
  });
  await mkdir(join(path, 'empty'));
  await assert.rejects(start(join(path, 'empty')), {
    message: `no configuration files found in directory "${path}/empty"`,
  });
  await writeFile(config, yamlFor('twice', 'twice'));
  await assert.rejects(start(config), {
    message: 'duplicate provider name "twice" found in configuration file(s)',
  });
  await writeFile(config, `${head}providers: []\n`);
  await assert.rejects(start(config), {
    code: 'BAD_PROVIDER_CONFIG',
    message:
      'failed to validate credential provider config: providers: Required value: at least 1 item in plugins is required',
  });
  await writeFile(config, 'kind: [');
  await assert.rejects(start(config), {
    message: /^error decoding config ".*config\.yaml": error converting YAML to JSON/,
  });
  await writeFile(config, yamlFor('absent'));
  await assert.rejects(start(config), { message: `plugin binary executable ${bin}/absent did not exist` });
  await writeFile(join(bin, 'absent'), '', { mode: 0o644 });
  await assert.rejects(start(config), {
    message: /^error inspecting binary executable .*: permission denied$/,
  });
  await rm(join(bin, 'absent'));
  await writeFile(join(bin, 'absent'), '', { mode: 0o755 });
  const hashes: string[] = [];
  const providers = await startCredentialProviders({
    configPath: config,
    binDirectory: bin,
    observer: { configured: (hash) => hashes.push(hash) },
  });
  providers.close();
  assert.match(hashes[0] ?? '', /^sha256:[0-9a-f]{64}$/);
});

const provider = (fields: string): string =>
  `${head}providers:\n- ${fields.trim().replaceAll('\n', '\n  ')}\n`;
const good = `name: a\nmatchImages: [r.io]\ndefaultCacheDuration: 0s\napiVersion: ${V1}`;
const tokens = (fields: string, base = good): string => provider(`${base}\ntokenAttributes: {${fields}}`);
const allTokens = 'serviceAccountTokenAudience: a, requireServiceAccount: true, cacheType: Token';

const invalid: [name: string, text: string, errors: string[]][] = [
  ['nothing wrong', provider(good), []],
  ['nothing wrong with tokens', tokens(allTokens), []],
  [
    'a slash in the name',
    provider(good.replace('name: a', 'name: a/b')),
    [`providers.name: Invalid value: "a/b": provider name cannot contain '/'`],
  ],
  [
    'a space in the name',
    provider(good.replace('name: a', 'name: a b')),
    ['providers.name: Invalid value: "a b": provider name cannot contain spaces'],
  ],
  [
    'the name .',
    provider(good.replace('name: a', 'name: "."')),
    [`providers.name: Invalid value: ".": provider name cannot be '.'`],
  ],
  [
    'the name ..',
    provider(good.replace('name: a', 'name: ".."')),
    [`providers.name: Invalid value: "..": provider name cannot be '..'`],
  ],
  ['no apiVersion', provider(good.replace(V1, '')), ['providers.apiVersion: Required value']],
  [
    'an unknown apiVersion',
    provider(good.replace(V1, 'v1')),
    [
      'providers.apiVersion: Unsupported value: "v1": supported values: "credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1alpha1", "credentialprovider.kubelet.k8s.io/v1beta1"',
    ],
  ],
  [
    'no images',
    provider(good.replace('[r.io]', '[]')),
    ['providers.matchImages: Required value: at least 1 item in matchImages is required'],
  ],
  [
    'an image that is no URL',
    provider(good.replace('[r.io]', '["r.io:x"]')),
    ['providers.matchImages: Invalid value: "r.io:x": match image is invalid: no URL'],
  ],
  ['no duration', provider(good.replace('0s', 'null')), ['providers.defaultCacheDuration: Required value']],
  [
    'a negative duration',
    provider(good.replace('0s', '-90s')),
    [
      'providers.defaultCacheDuration: Invalid value: -1m30s: defaultCacheDuration must be greater than or equal to 0',
    ],
  ],
  [
    'empty token attributes',
    tokens(''),
    [
      'providers.tokenAttributes.serviceAccountTokenAudience: Required value',
      'providers.tokenAttributes.requireServiceAccount: Required value',
      'providers.tokenAttributes.cacheType: Required value: cacheType is required to be set when tokenAttributes is specified. Supported values are: ServiceAccount, Token',
    ],
  ],
  [
    'tokens with an older protocol',
    tokens(allTokens, good.replace('k8s.io/v1', 'k8s.io/v1beta1')),
    [`providers.tokenAttributes: Forbidden: tokenAttributes is only supported for ${V1} API version`],
  ],
  [
    'an unknown cache type',
    tokens(
      allTokens
        .replace('Token', 'None')
        .replace('cacheType: Token', 'cacheType: None')
        .replace('serviceAccountNoneAudience', 'serviceAccountTokenAudience'),
    ),
    [
      'providers.tokenAttributes.cacheType: Unsupported value: "None": supported values: "ServiceAccount", "Token"',
    ],
  ],
  [
    'required keys without a required account',
    tokens(`${allTokens.replace('true', 'false')}, requiredServiceAccountAnnotationKeys: [a]`),
    [
      'providers.tokenAttributes.requiredServiceAccountAnnotationKeys: Forbidden: requireServiceAccount cannot be false when requiredServiceAccountAnnotationKeys is set',
    ],
  ],
  [
    'a key both required and optional',
    tokens(
      `${allTokens}, requiredServiceAccountAnnotationKeys: [b, a], optionalServiceAccountAnnotationKeys: [a]`,
    ),
    ['providers.tokenAttributes: Invalid value: ["a"]: annotation keys cannot be both required and optional'],
  ],
  [
    'a key given twice',
    tokens(`${allTokens}, optionalServiceAccountAnnotationKeys: [Example.com/A, Example.com/A]`),
    ['providers.tokenAttributes.optionalServiceAccountAnnotationKeys: Duplicate value: "Example.com/A"'],
  ],
];
for (const [name, text, errors] of invalid) {
  test(`${text.includes('tokenAttributes') ? '9.6' : '9.5'} validation: ${name}`, () => {
    assert.deepEqual(validateProviderConfig(decodeProviderConfig(text)), errors);
  });
}

for (const key of ['a/b/c', '/a', 'a/', 'a b', '-a', 'a'.repeat(64), 'UP PER/a']) {
  test(`9.6 "${key}" is no annotation key`, () => {
    const errors = validateProviderConfig(
      decodeProviderConfig(tokens(`${allTokens}, optionalServiceAccountAnnotationKeys: ["${key}"]`)),
    );
    assert.ok(errors.length > 0);
    for (const error of errors) {
      assert.ok(
        error.startsWith(
          `providers.tokenAttributes.optionalServiceAccountAnnotationKeys: Invalid value: "${key}": `,
        ),
        error,
      );
    }
  });
}

test('9.5 a name given twice in one list is refused', () => {
  const providers = decodeProviderConfig(yamlFor('a', 'a'));
  assert.deepEqual(validateProviderConfig(providers), ['providers.name: Duplicate value: "a"']);
});

test('several errors are printed once each, in brackets', () => {
  assert.equal(aggregate(['a', 'b', 'a']), '[a, b]');
  assert.equal(aggregate(['a', 'a']), 'a');
});

test('hostile configurations are read or refused, never crash', () => {
  const line = fc.constantFrom(
    'kind: CredentialProviderConfig',
    'apiVersion: kubelet.config.k8s.io/v1',
    'providers:',
    '- name: a',
    '  env:',
    '  - {name: x}',
    '__proto__: {polluted: 1}',
    '  matchImages: [*a]',
    'a: &a [*a, *a]',
    '- !!js/function x',
    '\t',
    '? [a]: b',
    '"',
    '{',
    '%YAML 1.2',
    '---',
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 10 }), (lines) => {
      try {
        const providers = decodeProviderConfig(lines.join('\n'));
        validateProviderConfig(providers);
      } catch (error) {
        assert.ok(error instanceof CredentialError, String(error));
      }
      assert.equal('polluted' in {}, false);
    }),
    // A case is a document of YAML with many errors, each of which is made ready to be shown.
    { numRuns: Math.min(30_000, runs.numRuns) },
  );
});
