import { X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';

/** A certificate and its key, PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says about its holder. */
export interface CertificateRequest {
  /** File name below the directory, without ending. */
  readonly file: string;
  readonly commonName: string;
  /** Kubernetes reads organisations as groups. */
  readonly organization?: string;
  readonly usage: 'server' | 'client';
  /** DNS names and IP addresses; servers only. */
  readonly names?: readonly string[];
}

/** Ten years for the authority and one for what it signs; leaves are made anew well before they end. */
const CA_LIFETIME_MS = 10 * 365 * 24 * 3600_000;
const LEAF_LIFETIME_MS = 365 * 24 * 3600_000;
const RENEW_BEFORE_MS = 30 * 24 * 3600_000;
/** Clocks of nodes differ a little: a certificate is valid from a while ago. */
const BACKDATE_MS = 3600_000;

/**
 * The machine's own certificate authority, kept in one directory (0700, keys 0600). Certificates are made when they are
 * first asked for and again when they near their end, lack a name they are asked to carry, or come from another authority.
 */
export class Pki {
  readonly #directory: string;
  readonly ca: KeyPair;

  private constructor(directory: string, ca: KeyPair) {
    this.#directory = directory;
    this.ca = ca;
  }

  /** Opens the authority in `directory`, making it on first use. */
  static async open(directory: string): Promise<Pki> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const held = await readPair(directory, 'ca');
    if (held !== undefined) return new Pki(directory, held);
    const ca = await generate({ commonName: 'drayage', lifetimeMs: CA_LIFETIME_MS, kind: 'ca', names: [] });
    await writePair(directory, 'ca', ca);
    return new Pki(directory, ca);
  }

  /** Path of the authority's certificate. */
  get caFile(): string {
    return join(this.#directory, 'ca.crt');
  }

  /** Returns the certificate for `request`, making it when there is none that serves. */
  async issue(request: CertificateRequest): Promise<KeyPair> {
    const held = await readPair(this.#directory, request.file);
    if (held !== undefined && this.#serves(held, request)) return held;
    const pair = await generate({
      commonName: request.commonName,
      organizations: request.organization === undefined ? [] : [request.organization],
      lifetimeMs: LEAF_LIFETIME_MS,
      kind: request.usage,
      names: request.names ?? [],
      ca: this.ca,
    });
    await writePair(this.#directory, request.file, pair);
    return pair;
  }

  /** Makes a client's certificate that is kept nowhere here; each organisation is a group to Kubernetes. */
  sign(commonName: string, organizations: readonly string[]): Promise<KeyPair> {
    return generate({
      commonName,
      organizations,
      lifetimeMs: LEAF_LIFETIME_MS,
      kind: 'client',
      names: [],
      ca: this.ca,
    });
  }

  #serves(pair: KeyPair, request: CertificateRequest): boolean {
    const certificate = new X509Certificate(pair.cert);
    if (!certificate.verify(new X509Certificate(this.ca.cert).publicKey)) return false;
    if (Date.parse(certificate.validTo) - Date.now() < RENEW_BEFORE_MS) return false;
    const subject = certificate.subject.split('\n');
    if (!subject.includes(`CN=${request.commonName}`)) return false;
    if (request.organization !== undefined && !subject.includes(`O=${request.organization}`)) return false;
    return (request.names ?? []).every((name) =>
      isAddress(name) ? certificate.checkIP(name) !== undefined : certificate.checkHost(name) !== undefined,
    );
  }
}

async function readPair(directory: string, file: string): Promise<KeyPair | undefined> {
  try {
    const [cert, key] = await Promise.all([
      readFile(join(directory, `${file}.crt`), 'utf8'),
      readFile(join(directory, `${file}.key`), 'utf8'),
    ]);
    return { cert, key };
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** The key goes first: a certificate without its key would look complete. */
async function writePair(directory: string, file: string, pair: KeyPair): Promise<void> {
  await writeFileAtomic(join(directory, `${file}.key`), pair.key, { mode: 0o600 });
  await writeFileAtomic(join(directory, `${file}.crt`), pair.cert, { mode: 0o644 });
}

function isAddress(name: string): boolean {
  return /^[\d.]+$/.test(name) || name.includes(':');
}

async function generate(options: {
  commonName: string;
  organizations?: readonly string[];
  lifetimeMs: number;
  kind: 'ca' | 'server' | 'client';
  names: readonly string[];
  ca?: KeyPair;
}): Promise<KeyPair> {
  // Only a first start needs it: the library takes longer to load than everything else here.
  const { generate: selfsigned } = await import('selfsigned');
  const now = Date.now();
  const attributes = [{ name: 'commonName', value: options.commonName }];
  for (const value of options.organizations ?? []) attributes.push({ name: 'organizationName', value });
  const pems = await selfsigned(attributes, {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - BACKDATE_MS),
    notAfterDate: new Date(now + options.lifetimeMs),
    ...(options.ca === undefined ? {} : { ca: { key: options.ca.key, cert: options.ca.cert } }),
    extensions:
      options.kind === 'ca'
        ? [
            { name: 'basicConstraints', cA: true, critical: true },
            { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true },
          ]
        : [
            { name: 'basicConstraints', cA: false, critical: true },
            { name: 'keyUsage', digitalSignature: true, critical: true },
            {
              name: 'extKeyUsage',
              serverAuth: options.kind === 'server',
              clientAuth: options.kind === 'client',
            },
            ...(options.names.length === 0
              ? []
              : [
                  {
                    name: 'subjectAltName' as const,
                    altNames: options.names.map((name) =>
                      isAddress(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name },
                    ),
                  },
                ]),
          ],
  });
  return { cert: pems.cert, key: pems.private };
}
