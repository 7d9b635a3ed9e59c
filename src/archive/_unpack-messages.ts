import type { UnpackJob, UnpackResult } from './unpack-job.ts';

/** What the pool tells a worker. */
export type ToWorker =
  | { readonly kind: 'start'; readonly id: number; readonly job: UnpackJob }
  | { readonly kind: 'chunk'; readonly id: number; readonly chunk: Uint8Array }
  | { readonly kind: 'end'; readonly id: number }
  | { readonly kind: 'abort'; readonly id: number };

/** What a worker tells the pool. */
export type ToPool =
  | { readonly kind: 'used'; readonly id: number; readonly bytes: number }
  | { readonly kind: 'done'; readonly id: number; readonly result: UnpackResult }
  | {
      readonly kind: 'failed';
      readonly id: number;
      readonly code: string | undefined;
      readonly message: string;
    };
