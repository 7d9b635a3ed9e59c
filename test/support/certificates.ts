import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Pki } from '../../src/daemon/pki.ts';

/** An authority with a server's and a client's certificate, PEM. */
export interface TestCertificates {
  readonly ca: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
}

/** Makes certificates of a new authority; the server's is for 127.0.0.1 and `names`. */
export async function makeCertificates(
  t: Pick<TestContext, 'after'>,
  names: readonly string[] = ['127.0.0.1', 'localhost'],
): Promise<TestCertificates> {
  const directory = await mkdtemp(join(tmpdir(), 'dray-pki-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const pki = await Pki.open(directory);
  return {
    ca: pki.ca.cert,
    server: await pki.issue({ file: 'server', commonName: 'registry', usage: 'server', names }),
    client: await pki.issue({ file: 'client', commonName: 'node', usage: 'client' }),
  };
}
