import { ArchiveError } from './archive-error.ts';

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SKIPPABLE_MASK = 0xfffffff0;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;

type Step =
  | 'magic'
  | 'skippable-size'
  | 'skippable'
  | 'descriptor'
  | 'frame-header'
  | 'block-header'
  | 'block'
  | 'checksum';

/**
 * Cuts the pieces of a zstd stream at the ends of its frames, because node:zlib takes whatever follows the first frame within one write for
 * garbage, but begins a new frame with a new write. Skippable frames (of estargz and zstd:chunked) are dropped here.
 *
 * @see RFC 8878, section 3.1
 */
export class ZstdFrameSplitter {
  #step: Step = 'magic';
  /** Bytes that the step still wants; their values matter for headers only. */
  #wanted = 4;
  #header = Buffer.alloc(16);
  #headerLength = 0;
  #descriptor = 0;
  #lastBlock = false;

  /** Returns what of `chunk` belongs to frames, never two frames in one piece. The pieces share its memory. */
  split(chunk: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    let begin = 0;
    let at = 0;
    while (at < chunk.length) {
      const take = Math.min(this.#wanted, chunk.length - at);
      const isHeader = this.#step !== 'block' && this.#step !== 'skippable' && this.#step !== 'checksum';
      if (isHeader) {
        chunk.copy(this.#header, this.#headerLength, at, at + take);
        this.#headerLength += take;
      }
      at += take;
      this.#wanted -= take;
      if (this.#wanted > 0) break;
      const before = this.#step;
      this.#next();
      if (before === 'magic' && this.#step === 'descriptor') {
        // The magic may have come in pieces that were held back until it was known what begins.
        pieces.push(Buffer.from(this.#header.subarray(0, 4)));
        begin = at;
      } else if (this.#step === 'magic') {
        if (before !== 'skippable' && before !== 'skippable-size' && at > begin)
          pieces.push(chunk.subarray(begin, at));
        begin = at;
      }
      this.#headerLength = 0;
    }
    const inside = this.#step !== 'magic' && this.#step !== 'skippable-size' && this.#step !== 'skippable';
    if (inside && at > begin) pieces.push(chunk.subarray(begin, at));
    return pieces;
  }

  /** Says that no more bytes come. @throws ArchiveError `BAD_ARCHIVE` in the middle of a frame */
  finish(): void {
    if (this.#step === 'magic' && this.#headerLength === 0) return;
    throw new ArchiveError(
      'BAD_ARCHIVE',
      'Cannot decompress layer: zstd stream ends in the middle of a frame',
    );
  }

  #next(): void {
    const header = this.#header;
    switch (this.#step) {
      case 'magic': {
        const magic = header.readUInt32LE(0);
        if (magic === FRAME_MAGIC) this.#want('descriptor', 1);
        else if ((magic & SKIPPABLE_MASK) >>> 0 === SKIPPABLE_MAGIC) this.#want('skippable-size', 4);
        else
          throw new ArchiveError(
            'BAD_ARCHIVE',
            'Cannot decompress layer: zstd frame has a wrong magic number',
          );
        break;
      }
      case 'skippable-size':
        this.#want('skippable', header.readUInt32LE(0));
        break;
      case 'skippable':
      case 'checksum':
        this.#want('magic', 4);
        break;
      case 'descriptor': {
        this.#descriptor = header[0] ?? 0;
        const single = (this.#descriptor & 0x20) !== 0;
        const sizeFlag = this.#descriptor >> 6;
        const contentSize = sizeFlag === 0 && single ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0);
        const dictionary = DICTIONARY_ID_BYTES[this.#descriptor & 3] ?? 0;
        this.#want('frame-header', (single ? 0 : 1) + dictionary + contentSize);
        break;
      }
      case 'frame-header':
        this.#want('block-header', 3);
        break;
      case 'block-header': {
        const block = header.readUIntLE(0, 3);
        this.#lastBlock = (block & 1) !== 0;
        const type = (block >> 1) & 3;
        if (type === 3)
          throw new ArchiveError('BAD_ARCHIVE', 'Cannot decompress layer: zstd block has a reserved type');
        // A run-length block stores its one byte, whatever length it stands for.
        this.#want('block', type === 1 ? 1 : block >> 3);
        break;
      }
      case 'block':
        if (!this.#lastBlock) this.#want('block-header', 3);
        else if ((this.#descriptor & 4) !== 0) this.#want('checksum', 4);
        else this.#want('magic', 4);
        break;
    }
  }

  #want(step: Step, bytes: number): void {
    this.#step = step;
    this.#wanted = bytes;
    // An empty block or skippable frame is complete as it begins.
    if (bytes === 0) this.#next();
  }
}
