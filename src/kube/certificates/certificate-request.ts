import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import { CodedError, messageOf } from '../../base/coded-error.ts';
import {
  bitsOf,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  DerError,
  derItems,
  expectTag,
  oidOf,
  readDer,
  type DerValue,
} from '../../base/der.ts';

/** A PKCS #10 request whose signature was checked: who sent it holds the key. */
export interface CertificateRequest {
  /** The whole name, DER, to be taken over into a certificate as it is. */
  readonly subject: Uint8Array;
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** The names and addresses beside the subject, as the value of an extension, DER. */
  readonly otherNames?: Uint8Array;
}

/** A request that cannot be fulfilled, in Go's words. */
export class CertificateRequestError extends CodedError<'NOT_PEM' | 'MALFORMED' | 'SIGNATURE'> {}

const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
/** The extension that names and addresses beside the subject are in. */
export const OTHER_NAMES = '2.5.29.17';
/** Context-specific tag 0: the attributes of a request. */
const ATTRIBUTES = 0xa0;

/** How each algorithm signs; the key says the rest. */
const ALGORITHMS: ReadonlyMap<string, { hash: string | null; failure: string }> = new Map([
  ['1.2.840.113549.1.1.11', { hash: 'sha256', failure: 'crypto/rsa: verification error' }],
  ['1.2.840.113549.1.1.12', { hash: 'sha384', failure: 'crypto/rsa: verification error' }],
  ['1.2.840.113549.1.1.13', { hash: 'sha512', failure: 'crypto/rsa: verification error' }],
  ['1.2.840.10045.4.3.2', { hash: 'sha256', failure: 'x509: ECDSA verification failure' }],
  ['1.2.840.10045.4.3.3', { hash: 'sha384', failure: 'x509: ECDSA verification failure' }],
  ['1.2.840.10045.4.3.4', { hash: 'sha512', failure: 'x509: ECDSA verification failure' }],
  ['1.3.101.112', { hash: null, failure: 'x509: Ed25519 verification failure' }],
]);

/**
 * Reads a request from PEM and checks that it is signed by the key that it names.
 *
 * @throws CertificateRequestError
 */
export function parseCertificateRequest(pem: string): CertificateRequest {
  const block = /-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]*?)-----END \1-----/.exec(pem);
  if (block?.[1] !== 'CERTIFICATE REQUEST') {
    throw new CertificateRequestError('NOT_PEM', 'PEM block type must be CERTIFICATE REQUEST');
  }
  try {
    return parse(Buffer.from(block[2] ?? '', 'base64'));
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new CertificateRequestError('MALFORMED', error.message, { cause: error });
  }
}

function parse(bytes: Uint8Array): CertificateRequest {
  const [info, algorithm, signature] = derItems(readDer(bytes, DER_SEQUENCE));
  const [, subject, publicKey, attributes] = derItems(expectTag(info, DER_SEQUENCE));
  const key = publicKeyOf(expectTag(publicKey, DER_SEQUENCE));
  const known = ALGORITHMS.get(oidOf(derItems(algorithm)[0]));
  if (known === undefined) {
    const why = 'x509: cannot verify signature: algorithm unimplemented';
    throw new CertificateRequestError('SIGNATURE', why);
  }
  if (!isSigned(expectTag(info, DER_SEQUENCE).whole, key, known.hash, bitsOf(signature))) {
    throw new CertificateRequestError('SIGNATURE', known.failure);
  }
  const name = expectTag(subject, DER_SEQUENCE);
  const otherNames = attributes === undefined ? undefined : otherNamesIn(expectTag(attributes, ATTRIBUTES));
  return {
    subject: name.whole,
    commonName: partsOf(name, COMMON_NAME).at(-1) ?? '',
    organizations: partsOf(name, ORGANIZATION),
    publicKey: expectTag(publicKey, DER_SEQUENCE).whole,
    ...(otherNames === undefined ? {} : { otherNames }),
  };
}

function publicKeyOf({ whole }: DerValue): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(whole), format: 'der', type: 'spki' });
  } catch (error) {
    const why = `x509: failed to parse public key: ${messageOf(error)}`;
    throw new CertificateRequestError('MALFORMED', why, { cause: error });
  }
}

function isSigned(data: Uint8Array, key: KeyObject, hash: string | null, signature: Uint8Array): boolean {
  try {
    return verify(hash, data, key, signature);
  } catch {
    // A key that does not go with the algorithm has not signed this.
    return false;
  }
}

/** A name is a list of sets of pairs, such as `O=devs`. */
function partsOf(name: DerValue, type: string): string[] {
  return derItems(name)
    .flatMap((set) => derItems(set))
    .map((pair) => derItems(pair))
    .filter(([oid]) => oidOf(oid) === type)
    .map(([, value]) => Buffer.from(value?.content ?? []).toString('utf8'));
}

function otherNamesIn(attributes: DerValue): Uint8Array | undefined {
  const found = derItems(attributes)
    .map((attribute) => derItems(attribute))
    .filter(([oid]) => oidOf(oid) === EXTENSION_REQUEST)
    .flatMap(([, values]) => derItems(values))
    .flatMap((extensions) => derItems(extensions))
    .map((extension) => derItems(extension))
    .find(([oid]) => oidOf(oid) === OTHER_NAMES);
  return found === undefined ? undefined : expectTag(found.at(-1), DER_OCTET_STRING).content;
}
