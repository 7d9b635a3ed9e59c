import { createHash, type Hash } from 'node:crypto';
import { CodedError } from '../base/coded-error.ts';

export class DigestError extends CodedError<'BAD_DIGEST'> {}

/** `algorithm:hex`, checked: only {@link parseDigest} and {@link digestOf} make one. */
export type Digest = string & { readonly __digest: never };

/** The registered algorithms and the length of their hexadecimal form. @see OCI image-spec v1.1.1, descriptor.md, "Registered algorithms" */
const HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

/**
 * Checks a digest string. Messages are those of go-digest, as users know them (behaviour rule 1.7).
 *
 * @throws DigestError `BAD_DIGEST`
 */
export function parseDigest(text: string): Digest {
  const colon = text.indexOf(':');
  if (colon <= 0 || colon === text.length - 1)
    throw new DigestError('BAD_DIGEST', 'invalid checksum digest format');
  const algorithm = text.slice(0, colon);
  const hex = text.slice(colon + 1);
  const length = Object.hasOwn(HEX_LENGTH, algorithm) ? HEX_LENGTH[algorithm] : undefined;
  if (length === undefined) {
    const wellFormed = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/.test(text);
    throw new DigestError(
      'BAD_DIGEST',
      wellFormed ? 'unsupported digest algorithm' : 'invalid checksum digest format',
    );
  }
  if (hex.length !== length) throw new DigestError('BAD_DIGEST', 'invalid checksum digest length');
  if (!/^[0-9a-f]+$/.test(hex)) throw new DigestError('BAD_DIGEST', 'invalid checksum digest format');
  return text as Digest;
}

/** Tells whether `text` is a digest that {@link parseDigest} accepts. */
export function isDigest(text: string): text is Digest {
  try {
    parseDigest(text);
    return true;
  } catch {
    return false;
  }
}

/** Returns the algorithm part: `sha256`, `sha384` or `sha512`. */
export function algorithmOf(digest: Digest): string {
  return digest.slice(0, digest.indexOf(':'));
}

/** Returns the hexadecimal part. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** Digests bytes held in memory. */
export function digestOf(bytes: string | Uint8Array, algorithm = 'sha256'): Digest {
  return parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`);
}

/** Starts a running digest: `update` it, then {@link Digester.digest} once. */
export class Digester {
  readonly algorithm: string;
  readonly #hash: Hash;

  /** @param algorithm `sha256` (the default), `sha384` or `sha512` */
  constructor(algorithm = 'sha256') {
    if (!Object.hasOwn(HEX_LENGTH, algorithm))
      throw new DigestError('BAD_DIGEST', 'unsupported digest algorithm');
    this.algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  digest(): Digest {
    return `${this.algorithm}:${this.#hash.digest('hex')}` as Digest;
  }
}
