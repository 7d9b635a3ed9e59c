import type { Digest } from './digest.ts';
import type { Platform } from './platform.ts';

/** Names content by digest, size and type. @see OCI image-spec v1.1.1, descriptor.md */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Size of the content in bytes. */
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
  /** Content itself, base64, when embedded. */
  readonly data?: string;
}
