import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  applyDefaultTag,
  familiarReference,
  familiarRepository,
  formatReference,
  parseDockerReference,
  parseImageName,
  parseNormalizedReference,
  parseReference,
  ReferenceError,
  repositoryOf,
  trimTagAndDigest,
} from './reference.ts';

const FUZZ = { numRuns: Number(process.env.FUZZ_RUNS ?? 1000) };
const HEX64 = 'a'.repeat(64);
const SHA256 = `sha256:${HEX64}`;

function refusal(parse: (text: string) => unknown, text: string): string {
  try {
    parse(text);
  } catch (error) {
    assert.ok(error instanceof ReferenceError, String(error));
    return error.message;
  }
  return assert.fail(`${JSON.stringify(text)} was accepted`);
}

const BARE: Record<string, [domain: string, path: string, tag?: string | undefined, digest?: string]> = {
  test_com: ['', 'test_com'],
  'test.com:tag': ['', 'test.com', 'tag'],
  'test.com:5000': ['', 'test.com', '5000'],
  'test.com/repo:tag': ['test.com', 'repo', 'tag'],
  'test:5000/repo': ['test:5000', 'repo'],
  'test:5000/repo:tag': ['test:5000', 'repo', 'tag'],
  [`test:5000/repo@${SHA256}`]: ['test:5000', 'repo', undefined, SHA256],
  [`test:5000/repo:tag@${SHA256}`]: ['test:5000', 'repo', 'tag', SHA256],
  'foo/bar': ['foo', 'bar'],
  'foo_bar.com:8080': ['', 'foo_bar.com', '8080'],
  'foo_bar/baz': ['', 'foo_bar/baz'],
  'a.b-c.D/x': ['a.b-c.D', 'x'],
  '[2001:db8::1]:5000/repo:tag': ['[2001:db8::1]:5000', 'repo', 'tag'],
  '[fe80::]/repo': ['[fe80::]', 'repo'],
  'xn--n3h.com/myimage:xn--n3h.com': ['xn--n3h.com', 'myimage', 'xn--n3h.com'],
  'a/a__b/c---d/e.f_g': ['a', 'a__b/c---d/e.f_g'],
};

for (const [text, [domain, path, tag, digest]] of Object.entries(BARE)) {
  test(`1.1 1.2 the bare grammar takes ${text} apart`, () => {
    assert.deepEqual(parseReference(text), { domain, path, tag, digest });
    assert.equal(formatReference(parseReference(text)), text);
  });
}

test('1.1 a tag after the digest, a second tag and a second digest are refused', () => {
  for (const text of [`a@${SHA256}:tag`, 'a:b:c', `a@${SHA256}@${SHA256}`, 'a:', 'a@', ':a', '@a', 'a b'])
    assert.equal(refusal(parseReference, text), 'invalid reference format', text);
});

test('1.2 brackets hold hexadecimal digits and colons only, and a port is digits', () => {
  for (const text of [
    '[fe80::1%eth0]/x',
    '[::ffff:1.2.3.4]/x',
    '[]/x',
    '[::1/x',
    '[::1]x/y',
    '[::1]:/x',
    'a:/x',
    'a:5a/x',
  ])
    assert.equal(refusal(parseReference, text), 'invalid reference format', text);
});

test('1.3 a domain has upper case and inner dashes, neither underscores nor outer dashes', () => {
  for (const domain of ['A', 'a-b', 'A--b.C-d', '1.2', 'a.b.c:1'])
    assert.equal(parseReference(`${domain}/x`).domain, domain);
  for (const first of ['-a', 'a-', 'a.-b', 'a-.b', 'a..b', '.a', 'a.', 'A_b']) {
    const found = (() => {
      try {
        return parseReference(`${first}/x`).domain;
      } catch {
        return '';
      }
    })();
    assert.equal(found, '', first);
  }
});

test('1.4 path components are joined by one dot, one or two underscores, or dashes', () => {
  for (const path of ['a.b', 'a_b', 'a__b', 'a-b', 'a----b', 'a.b_c__d-e', '0', 'a/b/c'])
    assert.equal(parseReference(path === 'a/b/c' ? `x/${path}` : path).path, path);
  for (const path of [
    'a..b',
    'a___b',
    '-a',
    'a-',
    'a.',
    '.a',
    '_a',
    'a_',
    'a._b',
    'a-_b',
    'a_-b',
    'a.-b',
    'a//b',
    'a/',
    '/a',
    'ä',
  ])
    assert.equal(refusal(parseReference, path), 'invalid reference format', path);
});

test('A4 1.5 a tag has 1 to 128 characters and begins with a word character', () => {
  for (const tag of ['a', 'A', '_', '0', 'a.b-c_D', 'x'.repeat(128), '_.-'])
    assert.equal(parseReference(`r:${tag}`).tag, tag);
  for (const tag of ['', '.a', '-a', 'a+b', 'a/b', 'ä', 'x'.repeat(129)])
    assert.equal(refusal(parseReference, `r:${tag}`), 'invalid reference format', tag);
});

test('1.6 a digest by grammar has at least 32 hexadecimal digits after a dotted algorithm', () => {
  for (const digest of [
    'sha256:12',
    `sha256:${'g'.repeat(64)}`,
    `9sha:${HEX64}`,
    `sha256+:${HEX64}`,
    `:${HEX64}`,
    `sha256:${HEX64}x`,
  ])
    assert.equal(refusal(parseReference, `r@${digest}`), 'invalid reference format', digest);
  for (const digest of [`a+b.c-d_e:${'0'.repeat(32)}`, `md5:${'a'.repeat(32)}`])
    assert.equal(refusal(parseReference, `r@${digest}`), 'unsupported digest algorithm', digest);
});

test('1.7 a digest is one of three algorithms with its exact length in lower case', () => {
  for (const [algorithm, length] of [
    ['sha256', 64],
    ['sha384', 96],
    ['sha512', 128],
  ] as const) {
    assert.equal(
      parseReference(`r@${algorithm}:${'b'.repeat(length)}`).digest,
      `${algorithm}:${'b'.repeat(length)}`,
    );
    assert.equal(
      refusal(parseReference, `r@${algorithm}:${'b'.repeat(length - 1)}`),
      'invalid checksum digest length',
    );
    assert.equal(
      refusal(parseReference, `r@${algorithm}:${'B'.repeat(length)}`),
      'invalid checksum digest format',
    );
  }
  assert.equal(refusal(parseReference, `r:t@SHA256:${HEX64}`), 'invalid checksum digest format');
});

test('1.8 the path has at most 255 characters, not counting the domain', () => {
  const path = `a/${'b'.repeat(253)}`;
  const domain = `${'d'.repeat(100)}.example`;
  assert.equal(parseReference(`${domain}/${path}`).path.length, 255);
  assert.equal(
    refusal(parseReference, `${domain}/${path}c`),
    'repository name must not be more than 255 characters',
  );
  assert.equal(parseNormalizedReference('b'.repeat(247)).path.length, 255);
  assert.equal(
    refusal(parseNormalizedReference, 'b'.repeat(248)),
    'repository name must not be more than 255 characters',
  );
});

test('1.9 an empty text, an upper-case name and anything else are told apart', () => {
  assert.equal(refusal(parseReference, ''), 'repository name must have at least one component');
  for (const text of [
    'Uppercase:tag',
    'domain/Uppercase',
    'test:5000/Uppercase/lowercase:tag',
    'X\u212A',
    '\u0130x',
  ])
    assert.equal(refusal(parseReference, text), 'repository name must be lowercase', text);
  for (const text of ['A b', 'Uppercase:', 'a b'])
    assert.equal(refusal(parseReference, text), 'invalid reference format');
});

const NORMALIZED: Record<string, string> = {
  busybox: 'docker.io/library/busybox',
  'busybox:1': 'docker.io/library/busybox:1',
  'test.com:5000': 'docker.io/library/test.com:5000',
  localhost: 'docker.io/library/localhost',
  'localhost/x': 'localhost/x',
  'localhost:5000/x': 'localhost:5000/x',
  'index.docker.io/x': 'docker.io/library/x',
  'index.docker.io/a/b': 'docker.io/a/b',
  'docker.io/ubuntu': 'docker.io/library/ubuntu',
  'docker.io/a/b': 'docker.io/a/b',
  'a/b': 'docker.io/a/b',
  'a/b/c:t': 'docker.io/a/b/c:t',
  'a.b/c': 'a.b/c',
  'a:5/c': 'a:5/c',
  'Docker/x': 'Docker/x',
  'UPPER/x': 'UPPER/x',
  'foo_bar.com/x': 'foo_bar.com/x',
  [`x:1@${SHA256}`]: `docker.io/library/x:1@${SHA256}`,
  'fictional.registry.example:10443/imagename': 'fictional.registry.example:10443/imagename',
};

for (const [text, full] of Object.entries(NORMALIZED)) {
  test(`A2 A3 1.10 ${text} means ${full}`, () =>
    assert.equal(formatReference(parseNormalizedReference(text)), full));
}

test('1.10 names that no registry could have are refused with the words of the distribution library', () => {
  const table: Record<string, string> = {
    [HEX64]: `invalid repository name (${HEX64}), cannot specify 64-byte hexadecimal strings`,
    X: 'invalid reference format: repository name (library/X) must be lowercase',
    'docker.io/X:A': 'invalid reference format: repository name (library/X) must be lowercase',
    'localhost/Foo:1': 'invalid reference format: repository name (Foo) must be lowercase',
    'a.b/C/d': 'invalid reference format: repository name (C/d) must be lowercase',
    [`x@SHA256:${HEX64}`]: 'invalid reference format: repository name (library/x@SHA256) must be lowercase',
    'a_B.com/x': 'repository name must be lowercase',
    '': 'invalid reference format',
    '/x': 'invalid reference format',
    'x/': 'invalid reference format',
    'docker.io/': 'invalid reference format',
    'http://x/y:1': 'invalid reference format',
    'x:y:z': 'invalid reference format',
    'x ': 'invalid reference format',
    'x\n': 'invalid reference format',
    'a_b:5/x': 'invalid reference format',
  };
  for (const [text, message] of Object.entries(table))
    assert.equal(refusal(parseNormalizedReference, text), message, text);
});

test('1.11 other names of Docker Hub stay as they are', () => {
  for (const text of ['registry-1.docker.io/library/x', 'registry.hub.docker.com/library/x'])
    assert.equal(formatReference(parseNormalizedReference(text)), text);
});

test('1.12 the familiar form drops docker.io, and library only before a single component', () => {
  const table: Record<string, string> = {
    'docker.io/library/busybox:1': 'busybox:1',
    'docker.io/library/a/b': 'library/a/b',
    'docker.io/a/b': 'a/b',
    'quay.io/library/x': 'quay.io/library/x',
  };
  for (const [full, short] of Object.entries(table)) {
    assert.equal(familiarReference(parseNormalizedReference(full)), short);
    assert.equal(familiarRepository(parseNormalizedReference(full)), short.split(':')[0]);
  }
});

test('A4 1.13 containerd prefers the digest to the tag and adds latest to a bare name', () => {
  assert.equal(formatReference(parseDockerReference(`x:1@${SHA256}`)), `docker.io/library/x@${SHA256}`);
  assert.equal(formatReference(parseDockerReference(`x@${SHA256}`)), `docker.io/library/x@${SHA256}`);
  assert.equal(formatReference(parseDockerReference('x')), 'docker.io/library/x:latest');
  assert.equal(formatReference(parseDockerReference('x:1')), 'docker.io/library/x:1');
});

test('A4 1.15 the kubelet takes latest for granted only with neither tag nor digest', () => {
  assert.deepEqual(parseImageName('x'), { name: 'docker.io/library/x', tag: 'latest', digest: '' });
  assert.deepEqual(parseImageName('a.b/x:1'), { name: 'a.b/x', tag: '1', digest: '' });
  assert.deepEqual(parseImageName(`x@${SHA256}`), { name: 'docker.io/library/x', tag: '', digest: SHA256 });
  assert.deepEqual(parseImageName(`x:1@${SHA256}`), {
    name: 'docker.io/library/x',
    tag: '1',
    digest: SHA256,
  });
  assert.equal(
    refusal(parseImageName, 'a "b'),
    `couldn't parse image name "a \\"b": invalid reference format`,
  );
});

test('1.15 refusals recorded from Kubernetes 1.36.2', () => {
  const table: Record<string, string> = {
    'a b': 'invalid reference format',
    'x:': 'invalid reference format',
    '127.0.0.1:5503/test/app:': 'invalid reference format',
    '127.0.0.1:5503/test/app@sha256:12': 'invalid reference format',
    '127.0.0.1:5503/Test/App:1': 'invalid reference format: repository name (Test/App) must be lowercase',
    'http://127.0.0.1:5503/test/app:1': 'invalid reference format',
    [`127.0.0.1:5503/test/app:${'t'.repeat(129)}`]: 'invalid reference format',
    [HEX64]: `invalid repository name (${HEX64}), cannot specify 64-byte hexadecimal strings`,
    [`docker.io/${'b'.repeat(260)}:1`]: 'repository name must not be more than 255 characters',
  };
  for (const [image, message] of Object.entries(table))
    assert.equal(refusal(applyDefaultTag, image), `couldn't parse image name "${image}": ${message}`);
});

test('1.16 the default tag is appended to the text as it is, never to a tag or digest', () => {
  assert.equal(applyDefaultTag('busybox'), 'busybox:latest');
  assert.equal(applyDefaultTag('UPPER/x'), 'UPPER/x:latest');
  for (const image of ['busybox:1', `root:latest@${SHA256}`, `root@${SHA256}`])
    assert.equal(applyDefaultTag(image), image);
});

test('1.17 trimming cuts tag and digest and normalises nothing', () => {
  assert.equal(trimTagAndDigest(`myimage:v1@${SHA256}`), 'myimage');
  assert.equal(trimTagAndDigest('localhost:5000/myimage:v1'), 'localhost:5000/myimage');
  assert.notEqual(trimTagAndDigest('ubuntu'), trimTagAndDigest('docker.io/library/ubuntu'));
  assert.equal(refusal(trimTagAndDigest, 'registry.io/myorg/'), 'invalid reference format');
});

/** The grammar once more, as one expression: slow, but short enough to be checked by eye. */
const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const GRAMMAR = new RegExp(
  `^(?:((?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?)/)?(${COMPONENT}(?:/${COMPONENT})*)` +
    '(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$',
);
const PIECES = [
  'a',
  'b9',
  'A',
  '.',
  '_',
  '__',
  '-',
  ':',
  '/',
  '@',
  '[',
  ']',
  '5000',
  'localhost',
  'docker.io',
  'x',
  SHA256,
  'sha256:',
  ' ',
  'ä',
  '::1',
];
const texts = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 9 }).map((pieces) => pieces.join('')),
  fc.string({ maxLength: 40 }),
);

test('the scanner accepts exactly what the grammar accepts, with the same parts', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const match = GRAMMAR.exec(text);
      let parsed: ReturnType<typeof parseReference> | undefined;
      try {
        parsed = parseReference(text);
      } catch (error) {
        assert.ok(error instanceof ReferenceError);
        if (match !== null) assert.ok(['BAD_DIGEST', 'TOO_LONG'].includes(error.code), text);
        return;
      }
      assert.ok(match !== null, text);
      assert.deepEqual(
        [parsed.domain, parsed.path, parsed.tag, parsed.digest],
        [match[1] ?? '', match[2], match[3], match[4]],
      );
    }),
    FUZZ,
  );
});

test('printing a normalised reference and reading it again changes nothing', () => {
  fc.assert(
    fc.property(texts, (text) => {
      let first: ReturnType<typeof parseReference>;
      try {
        first = parseNormalizedReference(text);
      } catch (error) {
        assert.ok(error instanceof ReferenceError);
        return;
      }
      assert.deepEqual(parseNormalizedReference(formatReference(first)), first);
      if (first.domain !== '') assert.deepEqual(parseReference(formatReference(first)), first);
      assert.equal(repositoryOf(parseNormalizedReference(familiarReference(first))), repositoryOf(first));
    }),
    FUZZ,
  );
});
