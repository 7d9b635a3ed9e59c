import type { MessagePort } from 'node:worker_threads';
import type { UnpackedLayer } from './apply-options.ts';
import type { SettleRequest } from './settle-layer.ts';
import type { UnpackJob, UnpackResult } from './unpack-job.ts';

/** Work for a thread: everything that makes or removes many files. */
export type WorkerTask =
  | { readonly kind: 'unpack'; readonly job: UnpackJob }
  | { readonly kind: 'settle'; readonly request: SettleRequest }
  | { readonly kind: 'merge'; readonly layers: readonly UnpackedLayer[]; readonly target: string }
  | { readonly kind: 'remove'; readonly path: string };

/** What comes of each kind of work. */
export interface TaskResult {
  readonly unpack: UnpackResult;
  readonly settle: UnpackedLayer | undefined;
  readonly merge: undefined;
  readonly remove: undefined;
}

/** What the pool tells a worker. */
export type ToWorker =
  | { readonly kind: 'start'; readonly id: number; readonly task: WorkerTask }
  | { readonly kind: 'chunk'; readonly id: number; readonly chunk: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'end'; readonly id: number }
  | { readonly kind: 'abort'; readonly id: number }
  /** A thread at the other end of the port inflates for the job. */
  | { readonly kind: 'partner'; readonly id: number; readonly port: MessagePort }
  /** Inflate for the thread at the other end of the port as long as there is nothing else to do. */
  | { readonly kind: 'serve'; readonly port: MessagePort };

/** What a worker tells the pool. */
export type ToPool =
  /** The chunk was used, and comes back for the next bytes: fresh memory for every chunk would cost more than the copying. */
  | { readonly kind: 'used'; readonly id: number; readonly chunk: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'done'; readonly id: number; readonly result: TaskResult[keyof TaskResult] }
  | {
      readonly kind: 'failed';
      readonly id: number;
      readonly code: string | undefined;
      readonly message: string;
    };
