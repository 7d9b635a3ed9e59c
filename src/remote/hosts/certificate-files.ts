import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../base/coded-error.ts';
import { goQuote } from '../../base/go-quote.ts';
import { HostConfigError } from './host-config-error.ts';
import type { ClientPair } from './hosts-toml.ts';

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Certificate and key as PEM. */
export interface LoadedPair {
  readonly cert: string;
  readonly key: string;
}

/** Reads CA files. @throws HostConfigError worded as rule 16.11 */
export async function loadCas(paths: readonly string[]): Promise<string[]> {
  const loaded: string[] = [];
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      throw new HostConfigError(
        'UNREADABLE',
        `unable to read CA cert ${goQuote(path)}: ${whyUnreadable(path, error)}`,
        {
          cause: error,
        },
      );
    });
    const certificates = text.match(PEM_CERTIFICATE) ?? [];
    const usable = certificates.filter(isCertificate);
    if (usable.length === 0)
      throw new HostConfigError('UNREADABLE', `unable to load CA cert ${goQuote(path)}`);
    loaded.push(...usable);
  }
  return loaded;
}

/** Reads client certificates; a pair without a key has it in the certificate's file. @throws HostConfigError (rule 16.11) */
export async function loadClientPairs(pairs: readonly ClientPair[]): Promise<LoadedPair[]> {
  const loaded: LoadedPair[] = [];
  for (const pair of pairs) {
    try {
      const cert = await readFile(pair.cert, 'utf8').catch((error: unknown) => {
        throw new Error(whyUnreadable(pair.cert, error), { cause: error });
      });
      const keyPath = pair.key ?? pair.cert;
      const key =
        pair.key === undefined
          ? cert
          : await readFile(keyPath, 'utf8').catch((error: unknown) => {
              throw new Error(whyUnreadable(keyPath, error), { cause: error });
            });
      checkPair(cert, key);
      loaded.push({ cert, key });
    } catch (error) {
      throw new HostConfigError('UNREADABLE', `failed to load X509 key pair: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
  return loaded;
}

/** Files of docker's layout: `*.crt` are CAs, `*.cert` with `*.key` are client pairs (rule 16.10). */
export async function dockerCertificateFiles(
  directory: string,
): Promise<{ readonly ca: readonly string[]; readonly client: readonly ClientPair[] }> {
  const names = (await readdir(directory)).sort();
  const ca = names.filter((name) => name.endsWith('.crt')).map((name) => join(directory, name));
  const client = names
    .filter((name) => name.endsWith('.cert'))
    .map((name) => {
      const key = `${name.slice(0, -'.cert'.length)}.key`;
      return {
        cert: join(directory, name),
        ...(names.includes(key) ? { key: join(directory, key) } : {}),
      };
    });
  return { ca, client };
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    // What is not a certificate is left out; the caller complains when nothing is left.
    return false;
  }
}

function checkPair(cert: string, key: string): void {
  const leaf = cert.match(PEM_CERTIFICATE)?.[0];
  if (leaf === undefined) throw new Error('tls: failed to find any PEM data in certificate input');
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key))
    throw new Error('tls: failed to find any PEM data in key input');
  let matches: boolean;
  try {
    const publicKey = createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'der' });
    matches = new X509Certificate(leaf).publicKey.export({ type: 'spki', format: 'der' }).equals(publicKey);
  } catch {
    // OpenSSL's own words would name no file and could quote key material.
    throw new Error('tls: failed to parse certificate or private key');
  }
  if (!matches) throw new Error('tls: private key does not match public key');
}

/** Says why a file cannot be opened as Go does: `open /x: no such file or directory`. */
function whyUnreadable(path: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return `open ${path}: no such file or directory`;
  if (code === 'EACCES') return `open ${path}: permission denied`;
  if (code === 'EISDIR') return `read ${path}: is a directory`;
  return messageOf(error);
}
