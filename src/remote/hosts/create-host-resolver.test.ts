import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { makeCertificates } from '../../../test/support/certificates.ts';
import type { Logger } from '../../observe/logger.ts';
import { silentLogger } from '../../observe/logger.ts';
import type { RegistryHost } from '../host-config.ts';
import { createHostResolver, defaultHostRoots, splitConfigPath } from './create-host-resolver.ts';
import { HostConfigError } from './host-config-error.ts';

/** Makes root directories with the given files and resolves `registry` in them. */
async function resolve(
  t: TestContext,
  registry: string,
  files: Readonly<Record<string, string>>,
  options: { roots?: readonly string[]; insecureRegistries?: readonly string[]; logger?: Logger } = {},
): Promise<readonly RegistryHost[]> {
  const base = await layOut(t, files);
  const roots = (options.roots ?? ['etc']).map((root) => join(base, root));
  return createHostResolver({ ...options, roots })(registry);
}

async function layOut(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'dray-hosts-'));
  t.after(() => rm(base, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(base, path, '..'), { recursive: true });
    await writeFile(join(base, path), text);
  }
  return base;
}

function addresses(hosts: readonly RegistryHost[]): string[] {
  return hosts.map((host) => `${host.scheme}://${host.host}${host.path}`);
}

test('16.1 roots are separated by colons', () => {
  assert.deepEqual(splitConfigPath('/etc/containerd/certs.d:/etc/docker/certs.d'), [
    '/etc/containerd/certs.d',
    '/etc/docker/certs.d',
  ]);
});

test('16.1 a node looks below its own root first, then where containerd and docker do', () => {
  assert.deepEqual(defaultHostRoots('/var/lib/drayage'), [
    '/var/lib/drayage/certs.d',
    '/etc/containerd/certs.d',
    '/etc/docker/certs.d',
  ]);
});

test('16.1 roots and inline mirrors exclude one another', () => {
  assert.throws(
    () => createHostResolver({ roots: ['/etc'], mirrors: {} }),
    new HostConfigError('BAD_FILE', '`mirrors` cannot be set when `config_path` is provided'),
  );
});

const MIRROR = (name: string): string => `server = "https://${name}"\n`;
const SEARCH: readonly { name: string; registry: string; files: Record<string, string>; found: string }[] = [
  {
    name: 'the name with the port between underscores wins',
    registry: 'r.example:5000',
    files: {
      'etc/r.example_5000_/hosts.toml': MIRROR('underscores.example'),
      'etc/r.example:5000/hosts.toml': MIRROR('colon.example'),
      'etc/_default/hosts.toml': MIRROR('default.example'),
    },
    found: 'https://underscores.example/v2',
  },
  {
    name: 'then the name with the port behind a colon',
    registry: 'r.example:5000',
    files: {
      'etc/r.example:5000/hosts.toml': MIRROR('colon.example'),
      'etc/_default/hosts.toml': MIRROR('default.example'),
    },
    found: 'https://colon.example/v2',
  },
  {
    name: 'then the default directory',
    registry: 'r.example:5000',
    files: {
      'etc/r.example/hosts.toml': MIRROR('portless.example'),
      'etc/_default/hosts.toml': MIRROR('default.example'),
    },
    found: 'https://default.example/v2',
  },
  {
    name: 'a name without a port is itself',
    registry: 'r.example',
    files: { 'etc/r.example/hosts.toml': MIRROR('portless.example') },
    found: 'https://portless.example/v2',
  },
  {
    name: 'Docker Hub is docker.io',
    registry: 'docker.io',
    files: { 'etc/docker.io/hosts.toml': MIRROR('hub.example') },
    found: 'https://hub.example/v2',
  },
];
for (const { name, registry, files, found } of SEARCH) {
  test(`16.2 directories: ${name}`, async (t) => {
    assert.deepEqual(addresses(await resolve(t, registry, files)), [found]);
  });
}

test('16.2 the first root that has any of the names wins, even by its default', async (t) => {
  const hosts = await resolve(
    t,
    'r.example',
    {
      'first/_default/hosts.toml': MIRROR('first.example'),
      'second/r.example/hosts.toml': MIRROR('second.example'),
    },
    { roots: ['first', 'second'] },
  );
  assert.deepEqual(addresses(hosts), ['https://first.example/v2']);
});

test('16.3 the second root of a list is searched too', async (t) => {
  const base = await layOut(t, { 'second/r.example/hosts.toml': MIRROR('second.example') });
  const roots = splitConfigPath(`${join(base, 'first')}:${join(base, 'second')}`);
  assert.deepEqual(addresses(await createHostResolver({ roots })('r.example')), [
    'https://second.example/v2',
  ]);
});

test('16.4 files are read again for each pull', async (t) => {
  const base = await layOut(t, { 'r.example/hosts.toml': MIRROR('before.example') });
  const resolver = createHostResolver({ roots: [base] });
  assert.deepEqual(addresses(await resolver('r.example')), ['https://before.example/v2']);
  await writeFile(join(base, 'r.example/hosts.toml'), MIRROR('after.example'));
  assert.deepEqual(addresses(await resolver('r.example')), ['https://after.example/v2']);
});

test('16.5 hosts come in the order of the file and the registry itself last', async (t) => {
  const hosts = await resolve(t, 'r.example', {
    'etc/r.example/hosts.toml': `
      server = "https://upstream.example"
      [host."https://b.example"]
      [host."https://a.example"]
    `,
  });
  assert.deepEqual(addresses(hosts), [
    'https://b.example/v2',
    'https://a.example/v2',
    'https://upstream.example/v2',
  ]);
});

test('16.5 without server the registry keeps path and capabilities, but takes trust, headers and time limit from the top level', async (t) => {
  const { ca } = await makeCertificates(t);
  const hosts = await resolve(t, 'r.example', {
    'etc/r.example/ca.pem': ca,
    'etc/r.example/hosts.toml': `
      capabilities = ["pull"]
      override_path = true
      ca = "ca.pem"
      dial_timeout = "3s"
      [header]
      x-site = "a"
    `,
  });
  const [host] = hosts;
  assert.deepEqual(addresses(hosts), ['https://r.example/v2']);
  assert.deepEqual([...(host?.capabilities ?? [])], ['pull', 'resolve', 'push', 'referrers']);
  assert.equal(host?.ca.length, 1);
  assert.equal(host?.dialTimeoutMs, 3000);
  assert.deepEqual({ ...host?.headers }, { 'x-site': ['a'] });
});

test('16.6 a mirror written as server keeps the registry itself out', async (t) => {
  const hosts = await resolve(t, 'r.example', {
    'etc/r.example/hosts.toml': 'server = "https://m.example"\n[host."https://m.example"]\n',
  });
  assert.deepEqual(new Set(hosts.map((host) => host.host)), new Set(['m.example']));
});

const PATHS: readonly { url: string; override?: boolean; address: string }[] = [
  { url: 'm.example', address: 'https://m.example/v2' },
  { url: 'm.example:8443', address: 'https://m.example:8443/v2' },
  { url: 'http://m.example', address: 'http://m.example/v2' },
  { url: 'https://m.example/', address: 'https://m.example/v2' },
  { url: 'https://m.example/v2', address: 'https://m.example/v2' },
  { url: 'https://m.example/v2/', address: 'https://m.example/v2' },
  { url: 'https://m.example/cache/hub', address: 'https://m.example/cache/hub/v2' },
  { url: 'https://m.example/v2/hub', address: 'https://m.example/v2/hub/v2' },
  { url: 'https://m.example/v2/hub', override: true, address: 'https://m.example/v2/hub' },
  { url: 'https://m.example', override: true, address: 'https://m.example' },
];
for (const { url, override = false, address } of PATHS) {
  test(`16.7 ${url}${override ? ' with override_path' : ''} is asked at ${address}`, async (t) => {
    const hosts = await resolve(t, 'r.example', {
      'etc/r.example/hosts.toml': `[host."${url}"]\noverride_path = ${override}\n`,
    });
    assert.equal(addresses(hosts)[0], address);
  });
}

test('16.8 every field of a host is read, and relative paths begin at the directory', async (t) => {
  const certificates = await makeCertificates(t);
  const { cert, key } = certificates.client;
  const [host] = await resolve(t, 'r.example', {
    'etc/r.example/ca.pem': certificates.ca,
    'etc/r.example/client.pem': cert,
    'etc/r.example/client.key': key,
    'etc/r.example/both.pem': `${cert}\n${key}`,
    'etc/r.example/hosts.toml': `
      [host."https://m.example"]
      capabilities = ["pull", "resolve"]
      ca = ["ca.pem"]
      client = [["client.pem", "client.key"], "both.pem"]
      skip_verify = true
      dial_timeout = "1m30s"
      [host."https://m.example".header]
      X-One = "1"
      x-many = ["2", "3"]
    `,
  });
  assert.deepEqual([...(host?.capabilities ?? [])], ['pull', 'resolve']);
  assert.equal(host?.ca.length, 1);
  assert.equal(host?.clientCertificates.length, 2);
  assert.equal(host?.skipVerify, true);
  assert.equal(host?.dialTimeoutMs, 90_000);
  assert.deepEqual({ ...host?.headers }, { 'x-one': ['1'], 'x-many': ['2', '3'] });
});

test('16.8 a host without capabilities has all of them', async (t) => {
  const [host] = await resolve(t, 'r.example', {
    'etc/r.example/hosts.toml': '[host."https://m.example"]\n',
  });
  assert.deepEqual([...(host?.capabilities ?? [])], ['pull', 'resolve', 'push', 'referrers']);
});

const BROKEN: Readonly<Record<string, string>> = {
  'TOML that cannot be read': '[host."https://m.example"\n',
  'an unknown capability': '[host."https://m.example"]\ncapabilities = ["pull", "fly"]\n',
  'a duration that is none': '[host."https://m.example"]\ndial_timeout = "soon"\n',
  'a field of the wrong type': '[host."https://m.example"]\nskip_verify = "yes"\n',
  'an address that is none': '[host."https://"]\n',
  'a header no request can carry': '[host."https://m.example".header]\nx-a = "b\\r\\nx-c: d"\n',
  'a triple of client files': '[host."https://m.example"]\nclient = [["a", "b", "c"]]\n',
  'a server that is a number': 'server = 7\n',
};
for (const [what, text] of Object.entries(BROKEN)) {
  test(`16.9 ${what} makes the whole file ignored, with a log line, and the directory's certificates count`, async (t) => {
    const { ca } = await makeCertificates(t);
    const lines: string[] = [];
    const logger: Logger = { ...silentLogger, error: (_fields, message) => lines.push(message) };
    const hosts = await resolve(
      t,
      'r.example',
      { 'etc/r.example/hosts.toml': text, 'etc/r.example/site.crt': ca },
      { logger },
    );
    assert.deepEqual(addresses(hosts), ['https://r.example/v2']);
    assert.equal(hosts[0]?.ca.length, 1);
    assert.deepEqual(lines, ['cannot use registry hosts file, it is ignored as a whole']);
  });
}

for (const [what, text] of Object.entries({ 'an empty': '  \n', no: undefined })) {
  test(`16.10 with ${what} hosts.toml the directory has docker's form`, async (t) => {
    const certificates = await makeCertificates(t);
    const hosts = await resolve(t, 'r.example:5000', {
      ...(text === undefined ? {} : { 'etc/r.example:5000/hosts.toml': text }),
      'etc/r.example:5000/ca.crt': certificates.ca,
      'etc/r.example:5000/client.cert': certificates.client.cert,
      'etc/r.example:5000/client.key': certificates.client.key,
      'etc/r.example:5000/README': 'not a certificate',
    });
    assert.deepEqual(addresses(hosts), ['https://r.example:5000/v2']);
    assert.equal(hosts[0]?.ca.length, 1);
    assert.deepEqual(hosts[0]?.clientCertificates, [certificates.client]);
  });
}

test('16.10 a .cert without .key must hold the key itself', async (t) => {
  const { client } = await makeCertificates(t);
  const both = `${client.cert}\n${client.key}`;
  const [host] = await resolve(t, 'r.example', { 'etc/r.example/client.cert': both });
  assert.deepEqual(host?.clientCertificates, [{ cert: both, key: both }]);
  await assert.rejects(resolve(t, 'r.example', { 'etc/r.example/client.cert': client.cert }), {
    message: 'failed to load X509 key pair: tls: failed to find any PEM data in key input',
  });
});

const UNUSABLE: readonly { name: string; toml: string; files?: Record<string, string>; message: RegExp }[] = [
  {
    name: 'a CA that is not there',
    toml: 'ca = "gone.pem"',
    message: /^unable to read CA cert "\/.*\/gone\.pem": open \/.*\/gone\.pem: no such file or directory$/,
  },
  {
    name: 'a CA that is no certificate',
    toml: 'ca = "bad.pem"',
    files: { 'etc/r.example/bad.pem': 'hello' },
    message: /^unable to load CA cert "\/.*\/bad\.pem"$/,
  },
  {
    name: 'a client certificate that is not there',
    toml: 'client = "gone.pem"',
    message: /^failed to load X509 key pair: open \/.*\/gone\.pem: no such file or directory$/,
  },
];
for (const { name, toml, files = {}, message } of UNUSABLE) {
  test(`16.11 ${name} is an error of the pull`, async (t) => {
    const text = `[host."https://m.example"]\n${toml}\n`;
    await assert.rejects(resolve(t, 'r.example', { ...files, 'etc/r.example/hosts.toml': text }), {
      message,
    });
  });
}

test('16.11 a key that belongs to another certificate is an error of the pull', async (t) => {
  const [one, other] = [await makeCertificates(t), await makeCertificates(t)];
  const files = {
    'etc/r.example/a.cert': one.client.cert,
    'etc/r.example/a.key': other.client.key,
  };
  await assert.rejects(resolve(t, 'r.example', files), {
    message: 'failed to load X509 key pair: tls: private key does not match public key',
  });
});

test('16.13 a mirror is told apart from the registry, and docker.io is registry-1.docker.io', async (t) => {
  const toml = '[host."https://m.example"]\n[host."https://registry-1.docker.io"]\n';
  const hosts = await resolve(t, 'docker.io', { 'etc/docker.io/hosts.toml': toml });
  assert.deepEqual(
    hosts.map((host) => [host.host, host.mirror]),
    [
      ['m.example', true],
      ['registry-1.docker.io', false],
      ['registry-1.docker.io', false],
    ],
  );
});

const DEFAULTS: readonly { registry: string; address: string; skipVerify: boolean; fallback: boolean }[] = [
  { registry: 'docker.io', address: 'https://registry-1.docker.io/v2', skipVerify: false, fallback: false },
  { registry: 'localhost', address: 'https://localhost/v2', skipVerify: true, fallback: false },
  { registry: 'localhost:443', address: 'https://localhost:443/v2', skipVerify: true, fallback: false },
  { registry: 'localhost:5000', address: 'https://localhost:5000/v2', skipVerify: true, fallback: true },
  { registry: '127.8.9.1:5000', address: 'https://127.8.9.1:5000/v2', skipVerify: true, fallback: true },
  { registry: '[::1]:5000', address: 'https://[::1]:5000/v2', skipVerify: true, fallback: true },
  { registry: 'localhost:80', address: 'http://localhost:80/v2', skipVerify: false, fallback: false },
];
for (const { registry, address, skipVerify, fallback } of DEFAULTS) {
  test(`16.14 ${registry} is asked at ${address}${fallback ? ', then over http' : ''}`, async (t) => {
    const hosts = await resolve(t, registry, {});
    assert.deepEqual(addresses(hosts), [address]);
    assert.equal(hosts[0]?.skipVerify, skipVerify);
    assert.equal(hosts[0]?.fallbackToHttp ?? false, fallback);
  });
}

test('16.14 http together with TLS settings means https first', async (t) => {
  const toml =
    '[host."http://m.example:8080"]\nskip_verify = true\n[host."http://m.example"]\nskip_verify = true\n';
  const hosts = await resolve(t, 'r.example', { 'etc/r.example/hosts.toml': toml });
  assert.deepEqual(
    hosts.map((host) => [host.scheme, host.fallbackToHttp ?? false]),
    [
      ['https', true],
      ['http', false],
      ['https', false],
    ],
  );
});

for (const registry of ['r.example', 'r.example:80', 'r.example:5000', '10.0.0.1:5000']) {
  test(`D12 16.15 ${registry} is asked over https and verified`, async (t) => {
    const [host] = await resolve(t, registry, {});
    assert.equal(host?.scheme, 'https');
    assert.equal(host?.skipVerify, false);
    assert.equal(host?.fallbackToHttp, undefined);
  });
}

test('16.15 http is used where hosts.toml writes it', async (t) => {
  const hosts = await resolve(t, 'r.example', {
    'etc/r.example/hosts.toml': 'server = "http://r.example"\n',
  });
  assert.deepEqual(addresses(hosts), ['http://r.example/v2']);
});

test('16.17 inline mirrors come in order, then the registry unless it is among them', async () => {
  const mirrors = {
    'docker.io': ['https://m.example', 'localhost:5000/hub', 'n.example:8443/v2'],
    'r.example': ['https://m.example', 'https://r.example'],
    '*': ['https://any.example'],
  };
  const resolver = createHostResolver({ mirrors });
  assert.deepEqual(addresses(await resolver('docker.io')), [
    'https://m.example/v2',
    'http://localhost:5000/hub/v2',
    'https://n.example:8443/v2',
    'https://registry-1.docker.io/v2',
  ]);
  assert.deepEqual(addresses(await resolver('r.example')), ['https://m.example/v2', 'https://r.example/v2']);
  assert.deepEqual(addresses(await resolver('q.example')), [
    'https://any.example/v2',
    'https://q.example/v2',
  ]);
});

const INSECURE: readonly { registry: string; insecure: boolean }[] = [
  { registry: 'lab.example:5000', insecure: true },
  { registry: 'lab.example:5001', insecure: false },
  { registry: '10.1.2.3:5000', insecure: true },
  { registry: '10.2.0.1:5000', insecure: false },
];
for (const { registry, insecure } of INSECURE) {
  test(`16.21 ${registry} is ${insecure ? '' : 'not '}on the list of insecure registries`, async (t) => {
    const [host] = await resolve(
      t,
      registry,
      {},
      { insecureRegistries: ['lab.example:5000', '10.1.0.0/16'] },
    );
    assert.equal(host?.skipVerify, insecure);
    assert.equal(host?.fallbackToHttp ?? false, insecure);
  });
}

test('a registry name that is a path does not leave the roots', async (t) => {
  const hosts = await resolve(t, '..', { 'hosts.toml': MIRROR('evil.example') });
  assert.deepEqual(addresses(hosts), ['https://../v2']);
});
