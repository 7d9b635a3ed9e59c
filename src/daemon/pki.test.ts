import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Pki } from './pki.ts';

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'drayage-pki-'));
  try {
    await run(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('a server certificate is trusted by a client that knows the authority, under each of its names', async () => {
  await withDirectory(async (directory) => {
    const pki = await Pki.open(directory);
    const pair = await pki.issue({
      file: 'server',
      commonName: 'registry',
      usage: 'server',
      names: ['localhost', '127.0.0.1'],
    });
    const server = createServer({ cert: pair.cert, key: pair.key }, (_, response) => response.end('ok'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      for (const servername of ['localhost', '127.0.0.1']) {
        const status = await new Promise((resolve, reject) => {
          request(
            {
              host: '127.0.0.1',
              port,
              ca: pki.ca.cert,
              headers: { host: servername },
              ...(servername === 'localhost' ? { servername } : {}),
            },
            (response) => {
              response.resume();
              resolve(response.statusCode);
            },
          )
            .on('error', reject)
            .end();
        });
        assert.equal(status, 200);
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

test('a certificate is kept between starts and made anew when it lacks a name', async () => {
  await withDirectory(async (directory) => {
    const ask = { file: 'api', commonName: 'api', usage: 'server' as const };
    const first = await (await Pki.open(directory)).issue({ ...ask, names: ['localhost'] });
    const again = await (await Pki.open(directory)).issue({ ...ask, names: ['localhost'] });
    assert.equal(again.cert, first.cert);
    const more = await (await Pki.open(directory)).issue({ ...ask, names: ['localhost', '10.1.2.3'] });
    assert.notEqual(more.cert, first.cert);
    assert.equal(new X509Certificate(more.cert).checkIP('10.1.2.3'), '10.1.2.3');
  });
});

test('a client certificate names its user and group, and keys are readable by the owner only', async () => {
  await withDirectory(async (directory) => {
    const pki = await Pki.open(directory);
    const pair = await pki.issue({
      file: 'admin',
      commonName: 'kubernetes-admin',
      organization: 'system:masters',
      usage: 'client',
    });
    assert.deepEqual(new X509Certificate(pair.cert).subject.split('\n').sort(), [
      'CN=kubernetes-admin',
      'O=system:masters',
    ]);
    assert.equal((await stat(join(directory, 'admin.key'))).mode & 0o777, 0o600);
    assert.equal((await stat(join(directory, 'ca.key'))).mode & 0o777, 0o600);
  });
});
