import { CodedError } from '../base/coded-error.ts';

export type ArchiveErrorCode =
  /** The bytes are not what they claim to be: bad header, truncated stream, wrong checksum. */
  | 'BAD_ARCHIVE'
  /** A limit that protects this machine was reached. */
  | 'LIMIT'
  /** An entry that cannot be made here, or a compression that this program does not read. */
  | 'UNSUPPORTED'
  /** The uncompressed bytes do not have the expected diff ID, or the compressed ones not the expected digest. */
  | 'DIGEST_MISMATCH'
  | 'NO_SPACE'
  /** The file system refused. */
  | 'IO';

/** What can go wrong while archives are read, applied or made. */
export class ArchiveError extends CodedError<ArchiveErrorCode> {}
