import { test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hostPlatform, platformOfMachine, type MachineFacts } from './host-platform.ts';
import { exactMatcher, fallbackMatcher, platformVector } from './platform-matcher.ts';
import { parsePlatform, PlatformError } from './platform-specifier.ts';
import {
  formatFullPlatform,
  formatPlatform,
  normalizeArchitecture,
  normalizeOs,
  normalizePlatform,
  type Platform,
} from './platform.ts';
import { runsWindowsVersion } from './windows-version.ts';

const FUZZ = { numRuns: Number(process.env.FUZZ_RUNS ?? 1000) };
const HOST = { os: 'linux', architecture: 'amd64' };

function platform(text: string): Platform {
  const [os = '', architecture = '', variant] = text.split('/');
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

test('15.1 an empty OS is the host’s, macos is darwin, case does not matter', () => {
  assert.equal(normalizeOs('', 'plan9'), 'plan9');
  assert.equal(normalizeOs('macOS'), 'darwin');
  assert.equal(normalizeOs('LINUX'), 'linux');
  assert.equal(exactMatcher(HOST, 'linux').matches({ os: '', architecture: 'amd64' }), true);
});

const ARCHITECTURES: [given: string, normalized: string][] = [
  ['i386/x', '386'],
  ['X86_64', 'amd64'],
  ['x86-64/v2', 'amd64/v2'],
  ['amd64/v1', 'amd64'],
  ['amd64/V3', 'amd64/v3'],
  ['aarch64', 'arm64'],
  ['arm64/8', 'arm64'],
  ['arm64/v8', 'arm64'],
  ['arm64/v8.0', 'arm64'],
  ['arm64/v8.1', 'arm64/v8.1'],
  ['arm64/9', 'arm64/v9'],
  ['arm64/9.0', 'arm64/v9'],
  ['arm64/v9.0', 'arm64/v9'],
  ['armhf/v5', 'arm/v7'],
  ['armel', 'arm/v6'],
  ['arm', 'arm/v7'],
  ['arm/7', 'arm/v7'],
  ['arm/5', 'arm/v5'],
  ['arm/6', 'arm/v6'],
  ['arm/8', 'arm/v8'],
  ['s390x/z14', 's390x/z14'],
  ['__proto__', '__proto__'],
];

for (const [given, normalized] of ARCHITECTURES) {
  test(`15.2 ${given} is ${normalized}`, () => {
    const [architecture = '', variant] = given.split('/');
    const found = normalizeArchitecture(architecture, variant);
    assert.equal([found.architecture, found.variant].filter(Boolean).join('/'), normalized);
  });
}

test('15.3 features are sorted and told once', () => {
  assert.deepEqual(normalizePlatform({ ...HOST, 'os.features': ['b', 'a', 'b'] }), {
    ...HOST,
    'os.features': ['a', 'b'],
  });
});

const SPECIFIERS: [text: string, shown: string][] = [
  ['linux', 'linux/arm64'],
  ['Windows', 'windows/arm64'],
  ['arm64', 'plan9/arm64'],
  ['arm', 'plan9/arm'],
  ['armel', 'plan9/arm/v6'],
  ['x86_64', 'plan9/amd64'],
  ['linux/arm', 'linux/arm'],
  ['linux/armhf', 'linux/arm'],
  ['linux/armel', 'linux/arm/v6'],
  ['linux/arm/v7', 'linux/arm/v7'],
  ['linux/arm64/v8', 'linux/arm64/v8'],
  ['linux/arm64/v9', 'linux/arm64/v9'],
  ['linux/aarch64', 'linux/arm64'],
  ['macos/x86_64', 'darwin/amd64'],
  ['unknown/thing/else', 'unknown/thing/else'],
  ['windows(10.0.17763)/amd64', 'windows(10.0.17763)/amd64'],
  ['windows(10.0.17763+win32k+a)/amd64', 'windows(10.0.17763+a+win32k)/amd64'],
  ['linux(+gpu)/amd64', 'linux(+gpu)/amd64'],
  ['linux(a%2Fb%28%29%25%2b)', 'linux(a%2Fb%28%29%25%2B)/arm64'],
];

for (const [text, shown] of SPECIFIERS) {
  test(`15.4 ${text} is ${shown}`, () =>
    assert.equal(formatFullPlatform(parsePlatform(text, { os: 'plan9', architecture: 'arm64' })), shown));
}

test('15.4 a lone OS on an ARM host takes the host’s variant, when it is not the usual one', () => {
  const shown = (variant: string): string =>
    formatPlatform(parsePlatform('linux', { os: 'linux', architecture: 'arm', variant }));
  assert.deepEqual([shown('v7'), shown('v6')], ['linux/arm', 'linux/arm/v6']);
});

test('15.4 what is no platform is refused with a reason', () => {
  for (const text of [
    '',
    '*',
    'linux/*',
    'a/b/c/d',
    'linux//arm',
    'linux/',
    '/amd64',
    'nothing',
    'li nux',
    'linux(1',
    'linux/am(d)',
    'linux(a/b)/amd64',
  ])
    assert.throws(
      () => parsePlatform(text),
      (error) => error instanceof PlatformError,
      text,
    );
});

test('15.4 an empty platform prints as unknown, and version and features only when asked for', () => {
  assert.equal(formatPlatform({ os: '', architecture: 'amd64' }), 'unknown');
  assert.equal(formatFullPlatform({ os: '', architecture: '' }), 'unknown');
  assert.equal(
    formatPlatform({ os: 'windows', architecture: 'amd64', 'os.version': '10.0.1' }),
    'windows/amd64',
  );
});

test('15.5 an entry matches when its features are among the host’s', () => {
  const host = exactMatcher({ ...HOST, 'os.features': ['a', 'b'] });
  assert.equal(host.matches({ ...HOST, 'os.features': ['b'] }), true);
  assert.equal(host.matches({ ...HOST, 'os.features': ['b', 'c'] }), false);
  assert.equal(host.matches(HOST), true);
  for (const other of ['linux/386', 'windows/amd64', 'linux/amd64/v2'])
    assert.equal(host.matches(platform(other)), false);
});

test('15.6 Windows versions: the host’s own build, or from the last long-term build before it', () => {
  const table: [host: string, container: string, runs: boolean][] = [
    ['', '10.0.1', true],
    ['10.0.1', '', true],
    ['10.0.17763.1', '10.0.17763.2', true],
    ['10.0.17763', '10.0.17764', false],
    ['10.0.19042', '10.0.17763', false],
    ['10.0.20348', '10.0.20348.9', true],
    ['10.0.20348', '10.0.20347', false],
    ['10.0.20348', '10.0.20349', false],
    ['10.0.22621', '10.0.20348', true],
    ['10.0.22621', '10.0.22000', true],
    ['10.0.26100', '10.0.20348', true],
    ['10.0.26101', '10.0.20348', false],
    ['10.0.26101', '10.0.26100', true],
    ['10.1.26101', '10.0.26101', false],
    ['11.0.26101', '10.0.26101', false],
    ['10.0', 'anything', true],
    ['10.0.20348', '10.0', false],
  ];
  for (const [host, container, runs] of table)
    assert.equal(runsWindowsVersion(host, container), runs, `${host} ${container}`);
});

test('15.6 win32k on the entry’s side is ignored, on Windows only', () => {
  const windows = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.20348' };
  assert.equal(exactMatcher(windows).matches({ ...windows, 'os.features': ['win32k'] }), true);
  assert.equal(exactMatcher(windows).matches({ ...windows, 'os.features': ['other'] }), false);
  assert.equal(exactMatcher(HOST).matches({ ...HOST, 'os.features': ['win32k'] }), false);
  assert.equal(exactMatcher(windows).matches({ ...windows, 'os.version': '10.0.20349' }), false);
});

test('15.7 of several Windows entries the version that sorts last as text comes first', () => {
  const matcher = fallbackMatcher({ os: 'windows', architecture: 'amd64', 'os.version': '10.0.26100' });
  const versions = ['10.0.20348.9', '10.0.26100.1', '10.0.20348.10', '10.0.17763'];
  const sorted = versions
    .map((version) => ({ os: 'windows', architecture: 'amd64', 'os.version': version }))
    .sort(matcher.compare)
    .map((entry) => entry['os.version']);
  assert.deepEqual(sorted, ['10.0.26100.1', '10.0.20348.9', '10.0.20348.10', '10.0.17763']);
});

const VECTORS: [rule: string, host: string, vector: string][] = [
  ['15.8', 'linux/amd64', 'amd64 386'],
  ['15.8', 'linux/amd64/v3', 'amd64/v3 amd64/v2 amd64 386'],
  ['15.9', 'linux/arm', 'arm/v7 arm/v6 arm/v5'],
  ['15.9', 'linux/arm/v8', 'arm/v8 arm/v7 arm/v6 arm/v5'],
  ['15.9', 'linux/arm/v5', 'arm/v5'],
  ['15.10', 'linux/arm64', 'arm64 arm/v8 arm/v7 arm/v6 arm/v5'],
  ['15.10', 'linux/arm64/v8.2', 'arm64/v8.2 arm64/v8.1 arm64 arm/v8 arm/v7 arm/v6 arm/v5'],
  [
    '15.10',
    'linux/arm64/v9',
    'arm64/v9 arm64/v8.5 arm64/v8.4 arm64/v8.3 arm64/v8.2 arm64/v8.1 arm64 arm/v8 arm/v7 arm/v6 arm/v5',
  ],
  [
    '15.10',
    'linux/arm64/v9.6',
    'arm64/v9.6 arm64/v9.5 arm64/v9.4 arm64/v9.3 arm64/v9.2 arm64/v9.1 arm64/v9 ' +
      'arm64/v8.9 arm64/v8.8 arm64/v8.7 arm64/v8.6 arm64/v8.5 arm64/v8.4 arm64/v8.3 arm64/v8.2 arm64/v8.1 arm64 arm/v8 arm/v7 arm/v6 arm/v5',
  ],
  ['15.10', 'linux/arm64/v9.8', ''],
  ['15.10', 'linux/arm64/v10', ''],
  ['15.8', 'linux/riscv64', 'riscv64'],
];

for (const [rule, host, vector] of VECTORS) {
  test(`${rule} ${host} runs ${vector === '' ? 'nothing' : vector}`, () =>
    assert.equal(
      platformVector(platform(host))
        .map((p) => formatPlatform(p).slice('linux/'.length))
        .join(' '),
      vector,
    ));
}

test('15.8 a plain amd64 host does not take amd64/v2', () => {
  assert.equal(fallbackMatcher(HOST).matches(platform('linux/amd64/v2')), false);
  assert.equal(fallbackMatcher(HOST).matches(platform('linux/386')), true);
});

test('15.11 15.18 the exact matcher takes the normalised platform alone', () => {
  const matcher = exactMatcher(platform('linux/arm64/v8'));
  assert.equal(matcher.matches(platform('linux/aarch64')), true);
  for (const other of ['linux/arm/v7', 'linux/arm64/v8.1', 'linux/amd64'])
    assert.equal(matcher.matches(platform(other)), false);
  assert.equal(exactMatcher(HOST).matches(platform('linux/386')), false);
  assert.equal(fallbackMatcher(platform('linux/arm64')).matches(platform('linux/arm/v7')), true);
});

test('15.12 preference: earlier in the vector, then more features, and equals stay in order', () => {
  const matcher = fallbackMatcher({ ...HOST, 'os.features': ['a', 'b'] });
  const entry = (architecture: string, ...features: string[]): Platform => ({
    os: 'linux',
    architecture,
    ...(features.length > 0 ? { 'os.features': features } : {}),
  });
  const entries = [
    entry('386', 'a', 'b'),
    entry('amd64'),
    entry('amd64', 'a'),
    entry('amd64', 'a', 'b'),
    entry('arm64'),
  ];
  assert.deepEqual(
    entries.toSorted(matcher.compare).map((e) => `${e.architecture}${(e['os.features'] ?? []).join('')}`),
    ['amd64ab', 'amd64a', 'amd64', '386ab', 'arm64'],
  );
});

const LINUX: MachineFacts = {
  platform: 'linux',
  arch: 'x64',
  byteOrder: 'LE',
  machine: 'x86_64',
  release: '6.1',
};

test('15.17 the host’s platform: variant on ARM only, version on Windows only', () => {
  const table: [facts: Partial<MachineFacts>, expected: string][] = [
    [{}, 'linux/amd64'],
    [{ arch: 'ia32' }, 'linux/386'],
    [{ arch: 'ppc64' }, 'linux/ppc64le'],
    [{ arch: 'ppc64', byteOrder: 'BE' }, 'linux/ppc64'],
    [{ platform: 'darwin', arch: 'x64' }, 'darwin/amd64'],
    [{ platform: 'win32', release: '10.0.20348' }, 'windows(10.0.20348)/amd64'],
    [{ arch: 'arm64', machine: 'aarch64' }, 'linux/arm64/v8'],
    [{ arch: 'arm64', machine: 'x', cpuInfo: 'processor\t: 0\nCPU architecture: 8\n' }, 'linux/arm64/v8'],
    [{ arch: 'arm', machine: 'armv7l' }, 'linux/arm/v7'],
    [{ arch: 'arm', machine: 'armv6l' }, 'linux/arm/v6'],
    [{ arch: 'arm', machine: 'armv7l', cpuInfo: 'CPU architecture: 5TE' }, 'linux/arm/v5'],
    [
      {
        arch: 'arm',
        machine: 'armv6l',
        cpuInfo: 'model name\t: ARMv6-compatible processor rev 7 (v6l)\nCPU architecture: 7\n',
      },
      'linux/arm/v6',
    ],
    [{ arch: 'arm', machine: 'strange' }, 'linux/arm/unknown'],
  ];
  for (const [facts, expected] of table)
    assert.equal(formatFullPlatform(platformOfMachine({ ...LINUX, ...facts })), expected);
  assert.notEqual(formatPlatform(hostPlatform()), 'unknown');
});

test('15.4 what is printed in full is read back the same', () => {
  const names = fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/);
  const parts = fc.stringMatching(/^[A-Za-z0-9_.-]{1,6}$/);
  // An empty feature cannot be written down.
  const options = fc.stringMatching(/^[A-Za-z0-9_.%()/+-]{1,8}$/);
  const platforms = fc
    .record({
      os: names,
      architecture: parts,
      variant: parts,
      version: options,
      features: fc.array(options, { maxLength: 3 }),
    })
    .map(({ version, features, ...rest }) =>
      normalizePlatform({ ...rest, 'os.version': version, 'os.features': features }),
    );
  fc.assert(
    fc.property(platforms, (value) => {
      const text = formatFullPlatform(value);
      // Only architectures without variant lose one on the way, when the text has two parts.
      if (value.variant === undefined) return;
      assert.deepEqual(parsePlatform(text), value);
    }),
    FUZZ,
  );
});

test('15.4 any text is a platform or a coded error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z/()+%.0-9*]*$/)), (text) => {
      try {
        const found = parsePlatform(text);
        exactMatcher(found).matches(found);
      } catch (error) {
        assert.ok(error instanceof PlatformError, String(error));
      }
    }),
    FUZZ,
  );
});

test('an unknown platform of an attestation is no host’s', () => {
  const unknown = { os: 'unknown', architecture: 'unknown' };
  for (const host of ['linux/amd64', 'linux/arm64', 'windows/amd64'])
    assert.equal(fallbackMatcher(platform(host)).matches(unknown), false);
});
