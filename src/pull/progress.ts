import type { Clock } from '../base/clock.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { PullWait } from './download-queue.ts';
import type { LayerPhase } from './pull-metrics.ts';

/** Where a part of an image is on its way. `shared`: another pull brings it; `failed` is told of the pull as a whole. */
export type PullPhase =
  | 'queued'
  | 'resolving'
  | 'downloading'
  | 'verifying'
  | 'unpacking'
  | 'done'
  | 'shared'
  | 'failed';

/** How far one part of a pull is. Sent at every change of phase, and while bytes arrive at most every 100 ms. */
export interface PullProgress {
  /** The image's normalised name. */
  readonly image: string;
  /** Absent for the pull as a whole (`resolving`, `downloading`, `done`, `failed`). */
  readonly digest?: Digest;
  readonly kind: 'image' | 'config' | 'layer';
  readonly phase: PullPhase;
  /** Bytes held of `total`. */
  readonly bytes: number;
  readonly total: number;
  /** Bytes a second, over the time of this part's download; 0 before the first. */
  readonly rate: number;
  /** Milliseconds until the download is over if it goes on as it did; absent where nobody can tell. */
  readonly etaMs?: number;
  /** With `queued` and `shared`: what it waits for. */
  readonly waiting?: PullWait;
}

export type ProgressListener = (progress: PullProgress) => void;

/** Least time between two reports of the same phase, in milliseconds: smooth to the eye, cheap to send. */
const REPORT_INTERVAL_MS = 100;

/** The phases that are timed; being done is none. */
const TIMED: Partial<Readonly<Record<PullPhase, LayerPhase>>> = {
  queued: 'queue',
  shared: 'shared',
  downloading: 'download',
  verifying: 'verify',
  unpacking: 'unpack',
};

/** Reports one part's progress. */
export class PartProgress {
  readonly #send: ProgressListener;
  readonly #clock: Clock;
  readonly #image: string;
  readonly #part: {
    readonly kind: 'image' | 'config' | 'layer';
    readonly digest?: Digest;
    readonly size: number;
  };
  #phase: PullPhase = 'queued';
  #bytes = 0;
  #startedAt = 0;
  #startBytes = 0;
  #reportedAt = 0;
  #enteredAt: number | undefined;
  #waiting: PullWait | undefined;
  #took: ((phase: LayerPhase, ms: number) => void) | undefined;

  constructor(
    send: ProgressListener,
    clock: Clock,
    image: string,
    kind: 'image' | 'config' | 'layer',
    descriptor?: Descriptor,
  ) {
    this.#send = send;
    this.#clock = clock;
    this.#image = image;
    this.#part =
      descriptor === undefined
        ? { kind, size: 0 }
        : { kind, digest: descriptor.digest, size: descriptor.size };
  }

  /** Tells from now on how long each phase took that came to its end. */
  timed(took: (phase: LayerPhase, ms: number) => void): void {
    this.#took = took;
  }

  /** Tells what it waits for, which is a phase of its own. */
  wait(phase: 'queued' | 'shared', waiting: PullWait): void {
    const now = this.#clock.now();
    this.#leave(phase, now);
    this.#waiting = waiting;
    this.#phase = phase;
    this.#report(now);
  }

  enter(phase: PullPhase, bytes = this.#bytes): void {
    const now = this.#clock.now();
    this.#waiting = undefined;
    this.#leave(phase, now);
    if (phase === 'downloading' && this.#phase !== 'downloading') {
      this.#startedAt = now;
      this.#startBytes = bytes;
    }
    this.#phase = phase;
    this.#bytes = bytes;
    this.#report(now);
  }

  /** Takes note of bytes held so far. */
  at(bytes: number): void {
    this.#bytes = bytes;
    const now = this.#clock.now();
    if (now - this.#reportedAt >= REPORT_INTERVAL_MS) this.#report(now);
  }

  #leave(next: PullPhase, now: number): void {
    if (next === this.#phase && this.#enteredAt !== undefined) return;
    const phase = TIMED[this.#phase];
    // What is held passes the queue without ever standing in it.
    const waitedForNothing = this.#phase === 'queued' && next !== 'downloading' && next !== 'unpacking';
    if (this.#enteredAt !== undefined && phase !== undefined && !waitedForNothing)
      this.#took?.(phase, now - this.#enteredAt);
    this.#enteredAt = now;
  }

  #report(now: number): void {
    this.#reportedAt = now;
    const seconds = (now - this.#startedAt) / 1000;
    const rate = this.#startedAt > 0 && seconds > 0 ? (this.#bytes - this.#startBytes) / seconds : 0;
    const left = this.#part.size - this.#bytes;
    this.#send({
      image: this.#image,
      ...(this.#part.digest === undefined ? {} : { digest: this.#part.digest }),
      kind: this.#part.kind,
      phase: this.#phase,
      bytes: this.#bytes,
      total: this.#part.size,
      rate: Math.round(rate),
      ...(this.#phase === 'downloading' && rate > 0 ? { etaMs: Math.round((left * 1000) / rate) } : {}),
      ...(this.#waiting === undefined ? {} : { waiting: this.#waiting }),
    });
  }
}
