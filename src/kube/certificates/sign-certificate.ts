import { createPrivateKey, randomBytes, sign, X509Certificate } from 'node:crypto';
import {
  der,
  DER_BIT_STRING,
  DER_INTEGER,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  derItems,
  derOid,
  expectTag,
  readDer,
} from '../../base/der.ts';
import { OTHER_NAMES, type CertificateRequest } from './certificate-request.ts';

/** Who signs: a certificate and its key, PEM. */
export interface SigningAuthority {
  readonly cert: string;
  readonly key: string;
}

/** Clocks differ a little: a certificate is valid from a while ago. */
const BACKDATE_MS = 5 * 60_000;
const SERIAL_BYTES = 16;
/** UTCTime has two digits for the year and ends here, RFC 5280 4.1.2.5. */
const LAST_UTC_YEAR = 2049;
const SIGNATURES: Readonly<Record<string, string>> = {
  ec: '1.2.840.10045.4.3.2',
  rsa: '1.2.840.113549.1.1.11',
};
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const BASIC_CONSTRAINTS = '2.5.29.19';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const NULL = Buffer.from([0x05, 0]);
const TRUE = Buffer.from([0x01, 1, 0xff]);
/** Bits of a key usage, the first being the highest. */
const BITS: Readonly<Record<string, number>> = { 'digital signature': 0x80, 'key encipherment': 0x20 };

/** Makes the certificate of a client, PEM, for whom the request names. It ends with its authority at the latest. */
export function signClientCertificate(
  request: CertificateRequest,
  authority: SigningAuthority,
  wanted: { readonly usages: readonly string[]; readonly lifetimeMs: number; readonly now: number },
): string {
  const issuer = new X509Certificate(authority.cert);
  const key = createPrivateKey(authority.key);
  const algorithm = algorithmOf(key.asymmetricKeyType ?? '');
  const end = Math.min(wanted.now + wanted.lifetimeMs, Date.parse(issuer.validTo));
  const body = der(
    DER_SEQUENCE,
    der(0xa0, integer(Buffer.from([2]))),
    integer(serial()),
    algorithm,
    subjectOf(issuer),
    der(DER_SEQUENCE, time(wanted.now - BACKDATE_MS), time(end)),
    request.subject,
    request.publicKey,
    der(0xa3, der(DER_SEQUENCE, ...extensions(wanted.usages), ...namesOf(request))),
  );
  const signature = sign('sha256', body, key);
  const whole = der(DER_SEQUENCE, body, algorithm, bits(signature));
  const lines = Buffer.from(whole)
    .toString('base64')
    .match(/.{1,64}/g);
  return `-----BEGIN CERTIFICATE-----\n${(lines ?? []).join('\n')}\n-----END CERTIFICATE-----\n`;
}

function algorithmOf(keyType: string): Uint8Array {
  const oid = SIGNATURES[keyType];
  if (oid === undefined) throw new Error(`Cannot sign: keys of type "${keyType}" are not supported`);
  return der(DER_SEQUENCE, derOid(oid), ...(keyType === 'rsa' ? [NULL] : []));
}

/** The name of an authority, as its own certificate spells it. */
function subjectOf(certificate: X509Certificate): Uint8Array {
  const [body] = derItems(readDer(certificate.raw, DER_SEQUENCE));
  // The first item, the version, is left out of certificates of old.
  const fields = derItems(body).filter(({ tag }) => tag !== 0xa0);
  return expectTag(fields[4], DER_SEQUENCE).whole;
}

function extensions(usages: readonly string[]): Uint8Array[] {
  let flags = 0;
  for (const usage of usages) flags |= BITS[usage] ?? 0;
  const clientAuth = der(DER_SEQUENCE, derOid(CLIENT_AUTH));
  return [
    ...(flags === 0 ? [] : [extension(KEY_USAGE, bits(Buffer.from([flags]), trailingZeros(flags)), true)]),
    extension(EXTENDED_KEY_USAGE, clientAuth, false),
    extension(BASIC_CONSTRAINTS, der(DER_SEQUENCE), true),
  ];
}

function namesOf({ otherNames }: CertificateRequest): Uint8Array[] {
  return otherNames === undefined ? [] : [extension(OTHER_NAMES, otherNames, false)];
}

function extension(oid: string, value: Uint8Array, isCritical: boolean): Uint8Array {
  return der(DER_SEQUENCE, derOid(oid), ...(isCritical ? [TRUE] : []), der(DER_OCTET_STRING, value));
}

function trailingZeros(byte: number): number {
  return 31 - Math.clz32(byte & -byte);
}

function bits(bytes: Uint8Array, unused = 0): Uint8Array {
  return der(DER_BIT_STRING, Buffer.from([unused]), bytes);
}

function integer(bytes: Uint8Array): Uint8Array {
  return der(DER_INTEGER, bytes);
}

/** Positive and without a leading zero. */
function serial(): Uint8Array {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

function time(at: number): Uint8Array {
  const digits = new Date(at)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:T]/g, '');
  const isShort = new Date(at).getUTCFullYear() <= LAST_UTC_YEAR;
  return der(isShort ? 0x17 : 0x18, Buffer.from(isShort ? digits.slice(2) : digits));
}
