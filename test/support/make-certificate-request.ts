import { generateKeyPairSync, sign, type KeyPairKeyObjectResult } from 'node:crypto';
import { der, DER_OCTET_STRING, DER_SEQUENCE, derOid } from '../../src/base/der.ts';

/** The key that is in every request. */
export const requestKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Makes a PKCS #10 request as `openssl req -new` does; `signer` has the key that signs it, where that is another's. */
export function makeCertificateRequest(
  name: readonly [oid: string, value: string][],
  signer: KeyPairKeyObjectResult = requestKey,
): string {
  const sequence = (...parts: Uint8Array[]): Uint8Array => der(DER_SEQUENCE, ...parts);
  const set = (part: Uint8Array): Uint8Array => der(0x31, part);
  const pairs = name.map(([oid, value]) => set(sequence(derOid(oid), der(0x0c, Buffer.from(value)))));
  const names = der(DER_OCTET_STRING, sequence(der(0x82, Buffer.from('jane.example'))));
  const extensions = sequence(sequence(derOid('2.5.29.17'), names));
  const attributes = der(0xa0, sequence(derOid('1.2.840.113549.1.9.14'), set(extensions)));
  const key = requestKey.publicKey.export({ type: 'spki', format: 'der' });
  const info = sequence(der(2, Buffer.from([0])), sequence(...pairs), key, attributes);
  const signature = der(3, Buffer.from([0]), sign('sha256', info, signer.privateKey));
  const whole = sequence(info, sequence(derOid('1.2.840.10045.4.3.2')), signature);
  const text = Buffer.from(whole).toString('base64');
  return `-----BEGIN CERTIFICATE REQUEST-----\n${text}\n-----END CERTIFICATE REQUEST-----\n`;
}
