import { CodedError } from '../base/coded-error.ts';

export type ImageErrorCode =
  /** A name, an image or a layer is not there. */
  | 'NOT_FOUND'
  /** The records were written by a newer version of this program, or are no records. */
  | 'BAD_STATE'
  /** Something that should be whole on disk is not. */
  | 'DAMAGED'
  /** The file system refused. */
  | 'IO';

/** What can go wrong between a caller and the records, layers and root file systems of this machine. */
export class ImageError extends CodedError<ImageErrorCode> {}
