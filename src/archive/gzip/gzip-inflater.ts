import { readFileSync } from 'node:fs';
import { ArchiveError } from '../archive-error.ts';

/*
 * The memory of one stream, in pages of 64 KiB: one page of state and tables, the input, and windows that get the output, each behind room
 * for what matches may reach back to.
 */
const PAGE = 64 * 1024;
const INPUT_AT = PAGE;
const INPUT_BYTES = 8 * PAGE;
const WORD = 8;
const HISTORY_BYTES = PAGE / 2;
/** Bytes that are inflated before somebody takes them: few enough to be in the processor's cache when they are digested and written. */
const WINDOW_BYTES = 8 * PAGE;
/** Windows of a stream: a partner fills two while the two before are used. */
export const WINDOWS = 4;
const WINDOWS_AT = INPUT_AT + INPUT_BYTES;
/** Pages of the memory; the compiled program declares as many. */
export const MEMORY_PAGES = Math.ceil((WINDOWS_AT + WINDOWS * (HISTORY_BYTES + WINDOW_BYTES)) / PAGE);

/** Where a stream is; with its memory, all that another thread needs to go on. */
export interface InflateCursor {
  readonly inAt: number;
  readonly inEnd: number;
  readonly window: number;
  readonly outAt: number;
  /** Whether the stream is over and what follows is no part of it. */
  readonly trailing: boolean;
}

interface Exports {
  reset(): void;
  run(inAt: number, inEnd: number, outAt: number, outEnd: number): number;
  inAt(): number;
  outAt(): number;
  move(to: number, from: number, length: number): void;
  between(): number;
}

const NEED_INPUT = 0;
const NEED_OUTPUT = 1;
const TRAILING = 2;

/** What is wrong, by the negative of what `run` returned; in zlib's words, which people know. */
const FAULTS: readonly string[] = [
  '',
  'incorrect header check',
  'unknown compression method',
  'unknown header flags set',
  'invalid block type',
  'invalid stored block lengths',
  'too many length or distance symbols',
  'invalid code lengths set',
  'invalid bit length repeat',
  'invalid code -- missing end-of-block',
  'invalid literal/lengths set',
  'invalid distances set',
  'invalid literal/length code',
  'invalid distance code',
  'invalid distance too far back',
  'incorrect length check',
];

let compiled: WebAssembly.Module | undefined;

/**
 * One gzip stream, also of several members, that is inflated by `wasm/inflate.ts` in the calling thread. Threads that have the same memory
 * may take turns by handing the cursor over. CRCs are not checked: whoever uses it has to know the digest of what comes out.
 */
export class GzipInflater {
  readonly memory: WebAssembly.Memory;
  readonly #bytes: Uint8Array;
  readonly #program: Exports;
  #inAt = INPUT_AT;
  #inEnd = INPUT_AT;
  #window = 0;
  #outAt = startOf(0);
  #trailing = false;

  /** @param memory of a stream that another thread began */
  constructor(
    memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES, shared: true }),
  ) {
    compiled ??= new WebAssembly.Module(readFileSync(new URL('./inflate.wasm', import.meta.url)));
    this.memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#program = new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Exports;
  }

  get cursor(): InflateCursor {
    return {
      inAt: this.#inAt,
      inEnd: this.#inEnd,
      window: this.#window,
      outAt: this.#outAt,
      trailing: this.#trailing,
    };
  }

  set cursor({ inAt, inEnd, window, outAt, trailing }: InflateCursor) {
    this.#inAt = inAt;
    this.#inEnd = inEnd;
    this.#window = window;
    this.#outAt = outAt;
    this.#trailing = trailing;
  }

  /** Begins a new stream in the same memory. */
  reset(): void {
    this.#program.reset();
    this.#inAt = INPUT_AT;
    this.#inEnd = INPUT_AT;
    this.#window = 0;
    this.#outAt = startOf(0);
    this.#trailing = false;
  }

  /** Copies input from `from` on, as much as there is room for; returns how much that was. */
  push(chunk: Uint8Array, from: number): number {
    const rest = chunk.length - from;
    if (this.#trailing) return rest;
    const left = this.#inEnd - this.#inAt;
    // Into memory that threads share, V8 copies bytes one by one unless both sides are aligned alike: six times slower.
    const start = INPUT_AT + ((chunk.byteOffset + from - left) & (WORD - 1));
    this.#program.move(start, this.#inAt, left);
    this.#inAt = start;
    this.#inEnd = start + left;
    const taken = Math.min(rest, INPUT_AT + INPUT_BYTES - this.#inEnd);
    this.#bytes.set(chunk.subarray(from, from + taken), this.#inEnd);
    this.#inEnd += taken;
    return taken;
  }

  /**
   * Inflates until the window is full, which it says by true, or until more input is needed.
   *
   * @throws ArchiveError `BAD_ARCHIVE`
   */
  fill(): boolean {
    if (this.#trailing) return false;
    const end = startOf(this.#window) + WINDOW_BYTES;
    const status = this.#program.run(this.#inAt, this.#inEnd, this.#outAt, end);
    this.#inAt = this.#program.inAt();
    this.#outAt = this.#program.outAt();
    if (status === NEED_OUTPUT) return true;
    if (status === NEED_INPUT) return false;
    if (status !== TRAILING) throw badArchive(FAULTS[-status] ?? `status ${status}`);
    this.#trailing = true;
    this.#inAt = this.#inEnd;
    return false;
  }

  /** What the window holds; lent until it is opened again. */
  made(): Buffer {
    return this.view(this.#window, this.#outAt - startOf(this.#window));
  }

  /** The first bytes of a window. */
  view(window: number, length: number): Buffer {
    return Buffer.from(this.memory.buffer, startOf(window), length);
  }

  /** Goes on in another window, or in the same one from its beginning. */
  open(window: number): void {
    const start = startOf(window);
    this.#program.move(start - HISTORY_BYTES, this.#outAt - HISTORY_BYTES, HISTORY_BYTES);
    this.#window = window;
    this.#outAt = start;
  }

  /** Says that no more input comes. @throws ArchiveError `BAD_ARCHIVE` when the stream is not over */
  end(): void {
    if (this.#trailing || (this.#inAt === this.#inEnd && this.#program.between() !== 0)) return;
    throw badArchive('unexpected end of file');
  }
}

function startOf(window: number): number {
  return WINDOWS_AT + window * (HISTORY_BYTES + WINDOW_BYTES) + HISTORY_BYTES;
}

function badArchive(what: string): ArchiveError {
  return new ArchiveError('BAD_ARCHIVE', `Cannot decompress layer: ${what}`);
}
