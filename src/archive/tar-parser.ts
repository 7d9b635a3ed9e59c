import { parsePax, type PaxRecords } from './_pax.ts';
import { entryOf, isZeroBlock, readHeader, type RawHeader } from './_tar-header.ts';
import { BLOCK, GNU_EXTENSION_MORE_OFFSET, GNU_SPARSE_IN_EXTENSION, paddingOf } from './_tar-format.ts';
import { checkSparse, readSparsePairs, SparseText } from './_tar-sparse.ts';
import { ArchiveError } from './archive-error.ts';
import type { SparsePart, TarEntry } from './tar-entry.ts';

/** Most bytes of an extension header (pax records, GNU long names): as much as Go's reader takes. */
export const MAX_EXTENSION_BYTES = 1024 * 1024;

/** Receives entries in their order. Each entry is followed by its bytes, then by `end`. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Bytes of the entry, and where in the file they go. The chunk is only lent: it is reused after the call. */
  data(chunk: Buffer, offset: number): void;
  end(): void;
}

type State =
  | { readonly kind: 'header' }
  | { readonly kind: 'extension'; readonly type: 'x' | 'g' | 'L' | 'K'; readonly padding: number }
  | { readonly kind: 'gnu-sparse'; readonly header: RawHeader; readonly parts: SparsePart[] }
  | { readonly kind: 'sparse-map'; readonly header: RawHeader; readonly text: SparseText }
  | { readonly kind: 'data' }
  | { readonly kind: 'padding' }
  | { readonly kind: 'after-zero' }
  | { readonly kind: 'done' };

/**
 * Reads a tar archive that is pushed in pieces of any size: V7, ustar, pax, GNU (long names, both kinds of sparse files,
 * base-256 numbers) and star. Global pax headers are skipped, as container runtimes do. What archives do that no writer makes
 * is read as Go's reader does, or refused: two readers of one layer must not see different files. Synchronous, so that a worker
 * thread can make files without a turn of its event loop for each.
 *
 * @throws ArchiveError `BAD_ARCHIVE`, `UNSUPPORTED`, `LIMIT`
 */
export class TarParser {
  readonly #handler: TarHandler;
  #state: State = { kind: 'header' };
  /** Bytes the state wants as one piece, gathered here when a chunk ends in their middle. */
  #gathered: Buffer[] = [];
  #gatheredLength = 0;
  #wanted = BLOCK;
  #pax: PaxRecords | undefined;
  #longName: Buffer | undefined;
  #longLink: Buffer | undefined;
  /** Parts of the current file still to come; an ordinary file is one part. */
  #parts: SparsePart[] = [];
  #partAt = 0;
  #partDone = 0;
  #dataLeft = 0;
  #paddingLeft = 0;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  push(chunk: Uint8Array): void {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    while (rest.length > 0) {
      if (this.#state.kind === 'done') return;
      if (this.#state.kind === 'data') rest = this.#takeData(rest);
      else if (this.#state.kind === 'padding') rest = this.#takePadding(rest);
      else rest = this.#gather(rest);
    }
  }

  /** Says that no more bytes come. An archive may end without its two zero blocks, not in the middle of anything. */
  finish(): void {
    const { kind } = this.#state;
    const between = (kind === 'header' || kind === 'after-zero') && this.#gatheredLength === 0;
    if (kind === 'done' || (between && this.#pax === undefined && this.#longName === undefined)) return;
    throw new ArchiveError('BAD_ARCHIVE', `Cannot read tar: it ends in the middle of ${WHERE[kind]}`);
  }

  #gather(bytes: Buffer): Buffer {
    const take = Math.min(this.#wanted - this.#gatheredLength, bytes.length);
    const piece = bytes.subarray(0, take);
    if (take === this.#wanted) {
      this.#complete(piece);
    } else {
      // The chunk is only lent, so what is kept over its end is copied.
      this.#gathered.push(Buffer.from(piece));
      this.#gatheredLength += take;
      if (this.#gatheredLength === this.#wanted) {
        const whole = Buffer.concat(this.#gathered);
        this.#gathered = [];
        this.#gatheredLength = 0;
        this.#complete(whole);
      }
    }
    return bytes.subarray(take);
  }

  #complete(piece: Buffer): void {
    const state = this.#state;
    switch (state.kind) {
      case 'header':
      case 'after-zero':
        this.#takeHeader(piece, state.kind === 'after-zero');
        break;
      case 'extension':
        this.#takeExtension(state.type, piece.subarray(0, piece.length - state.padding));
        break;
      case 'gnu-sparse': {
        readSparsePairs(piece, 0, GNU_SPARSE_IN_EXTENSION, state.parts);
        if (piece[GNU_EXTENSION_MORE_OFFSET] === 0) this.#begin(state.header, state.parts);
        break;
      }
      case 'sparse-map':
        this.#takeSparseMap(state.header, state.text, piece);
        break;
      case 'data':
      case 'padding':
      case 'done':
        throw new Error(`unreachable: ${state.kind} gathers nothing`);
    }
  }

  #takeHeader(block: Buffer, afterZero: boolean): void {
    if (isZeroBlock(block)) {
      this.#state = { kind: afterZero ? 'done' : 'after-zero' };
      return;
    }
    if (afterZero) throw new ArchiveError('BAD_ARCHIVE', 'Cannot read tar: a lone zero block stands in it');
    const header = readHeader(block);
    const { type } = header;
    if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
      if (header.size > MAX_EXTENSION_BYTES) {
        throw new ArchiveError(
          'LIMIT',
          `Cannot read tar: extension header has ${header.size} bytes, the limit is ${MAX_EXTENSION_BYTES}`,
        );
      }
      const padding = paddingOf(header.size);
      this.#state = { kind: 'extension', type, padding };
      this.#wanted = header.size + padding;
      if (this.#wanted === 0) this.#takeExtension(type, Buffer.alloc(0));
      return;
    }
    const gnuSparse = header.gnuSparse;
    if (gnuSparse?.extended === true) {
      this.#state = { kind: 'gnu-sparse', header, parts: [...gnuSparse.parts] };
      this.#wanted = BLOCK;
    } else {
      this.#begin(header, gnuSparse?.parts);
    }
  }

  #takeExtension(type: 'x' | 'g' | 'L' | 'K', data: Buffer): void {
    const copy = Buffer.from(data);
    if (type === 'x') this.#pax = parsePax(copy);
    else if (type === 'L') this.#longName = upToNul(copy);
    else if (type === 'K') this.#longLink = upToNul(copy);
    else {
      // A global header is an entry of its own to Go's reader: it takes what came before it along.
      this.#pax = undefined;
      this.#longName = undefined;
      this.#longLink = undefined;
    }
    this.#state = { kind: 'header' };
    this.#wanted = BLOCK;
  }

  /** Begins an entry once everything that precedes its bytes is known. */
  #begin(raw: RawHeader, gnuParts?: readonly SparsePart[]): void {
    const { entry, stored, sparseInData } = entryOf(raw, {
      pax: this.#pax,
      longName: this.#longName,
      longLink: this.#longLink,
      gnuParts,
    });
    if (sparseInData) {
      this.#state = { kind: 'sparse-map', header: raw, text: new SparseText() };
      this.#wanted = BLOCK;
      return;
    }
    this.#start(entry, stored, paddingOf(stored));
  }

  /** Format 1.0 of sparse files: the map is decimal lines before the bytes, in whole blocks. */
  #takeSparseMap(raw: RawHeader, text: SparseText, block: Buffer): void {
    const map = text.add(block);
    if (map === undefined) return;
    const { entry, stored } = entryOf(raw, {
      pax: this.#pax,
      longName: this.#longName,
      longLink: this.#longLink,
      gnuParts: map,
    });
    if (stored < text.length) {
      throw new ArchiveError('BAD_ARCHIVE', 'Cannot read tar: sparse map is longer than its entry');
    }
    this.#start(entry, stored - text.length, paddingOf(stored));
  }

  #start(entry: TarEntry, stored: number, padding: number): void {
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    if (entry.sparse === undefined) this.#parts = stored > 0 ? [{ offset: 0, length: stored }] : [];
    else {
      checkSparse(entry.sparse, entry.size, stored);
      this.#parts = entry.sparse.filter((part) => part.length > 0);
    }
    this.#partAt = 0;
    this.#partDone = 0;
    this.#dataLeft = stored;
    this.#paddingLeft = padding;
    this.#handler.entry(entry);
    this.#state = { kind: 'data' };
    if (stored === 0) this.#endData();
  }

  #takeData(bytes: Buffer): Buffer {
    let rest = bytes;
    while (rest.length > 0 && this.#dataLeft > 0) {
      const part = this.#parts[this.#partAt];
      if (part === undefined)
        throw new ArchiveError('BAD_ARCHIVE', 'Cannot read tar: more bytes than the file has');
      const take = Math.min(part.length - this.#partDone, rest.length);
      this.#handler.data(rest.subarray(0, take), part.offset + this.#partDone);
      this.#partDone += take;
      this.#dataLeft -= take;
      if (this.#partDone === part.length) {
        this.#partAt++;
        this.#partDone = 0;
      }
      rest = rest.subarray(take);
    }
    if (this.#dataLeft === 0) this.#endData();
    return rest;
  }

  #endData(): void {
    this.#handler.end();
    this.#state = { kind: this.#paddingLeft > 0 ? 'padding' : 'header' };
    this.#wanted = BLOCK;
  }

  #takePadding(bytes: Buffer): Buffer {
    const take = Math.min(this.#paddingLeft, bytes.length);
    this.#paddingLeft -= take;
    if (this.#paddingLeft === 0) this.#state = { kind: 'header' };
    return bytes.subarray(take);
  }
}

const WHERE: Readonly<Record<State['kind'], string>> = {
  header: 'a header',
  extension: 'an extension header',
  'gnu-sparse': 'a sparse map',
  'sparse-map': 'a sparse map',
  data: 'a file',
  padding: 'a file',
  'after-zero': 'its end mark',
  done: 'nothing',
};

function upToNul(data: Buffer): Buffer {
  const nul = data.indexOf(0);
  return nul < 0 ? data : data.subarray(0, nul);
}
