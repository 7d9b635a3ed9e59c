import type { UnpackResult } from './unpack-job.ts';

/** Takes the compressed bytes of one layer and unpacks it as they come. */
export interface UnpackSink {
  /** Takes a chunk; resolves when there is room for the next. Rejects once the job has failed. */
  write(chunk: Uint8Array): Promise<void>;
  /** Says that all bytes were written and waits for the outcome. */
  finish(): Promise<UnpackResult>;
  /** Stops the job and waits until it no longer touches the disk; harmless after its end. */
  abort(): Promise<void>;
}
