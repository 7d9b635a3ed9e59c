import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { objectAt, stringAt, type JsonObject } from '../json/json-object.ts';

interface Block {
  readonly type: string;
  readonly text: string;
}

/** Returns a text, in Go's words, for a secret whose key and certificate do not serve TLS together. */
export function tlsWarnings(secret: JsonObject): string[] {
  if (stringAt(secret, 'type') !== 'kubernetes.io/tls') return [];
  const data = objectAt(secret, 'data');
  const blocks = (key: string): Block[] => pemBlocks(Buffer.from(stringAt(data, key), 'base64').toString());
  const fault = pairFault(blocks('tls.crt'), blocks('tls.key'));
  return fault === undefined ? [] : [fault];
}

function pairFault(certificates: readonly Block[], keys: readonly Block[]): string | undefined {
  const certificate = certificates.find(({ type }) => type === 'CERTIFICATE');
  if (certificate === undefined) return `tls: ${missingCertificate(certificates.map(({ type }) => type))}`;
  const key = keys.find(({ type }) => isKey(type));
  if (key === undefined) return `tls: ${missingKey(keys.map(({ type }) => type))}`;
  const x509 = parsed(() => new X509Certificate(certificate.text));
  if (x509 === undefined) return 'x509: malformed certificate';
  const own = parsed(() => createPrivateKey(key.text));
  if (own === undefined) return 'tls: failed to parse private key';
  return keyFault(x509, own);
}

function keyFault(certificate: X509Certificate, key: KeyObject): string | undefined {
  if (certificate.publicKey.asymmetricKeyType !== key.asymmetricKeyType) {
    return 'tls: private key type does not match public key type';
  }
  return certificate.checkPrivateKey(key) ? undefined : 'tls: private key does not match public key';
}

function missingCertificate(skipped: readonly string[]): string {
  const [only] = skipped;
  if (only === undefined) return 'failed to find any PEM data in certificate input';
  if (skipped.length === 1 && only.endsWith('PRIVATE KEY')) {
    return (
      'failed to find certificate PEM data in certificate input, but did find a private key; ' +
      'PEM inputs may have been switched'
    );
  }
  return `failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${skipped.join(' ')}]`;
}

function missingKey(skipped: readonly string[]): string {
  if (skipped.length === 0) return 'failed to find any PEM data in key input';
  if (skipped.length === 1 && skipped[0] === 'CERTIFICATE') {
    return 'found a certificate rather than a key in the PEM for the private key';
  }
  return `failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${skipped.join(' ')}]`;
}

function isKey(type: string): boolean {
  return type === 'PRIVATE KEY' || type.endsWith(' PRIVATE KEY');
}

function pemBlocks(text: string): Block[] {
  const found = text.matchAll(/-----BEGIN ([^-\n]+)-----\r?\n[^]*?-----END \1-----/g);
  return [...found].map(([block, type = '']) => ({ type, text: block }));
}

/** What cannot be read is what the text is about. */
function parsed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
