import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';
import { SPDY_DICTIONARY } from './spdy-dictionary.ts';
import { words } from './spdy-frames.ts';
import { SpdyError } from './spdy-error.ts';

/** Bytes of one header block when unpacked: those of Kubernetes have some hundred, and a bomb would have millions. */
const MAX_BLOCK_BYTES = 64 * 1024;

export type SpdyHeaders = ReadonlyMap<string, string>;

/** Packs header blocks of one direction of a connection; they depend on each other, so their order counts. */
export class HeaderPacker {
  readonly #deflate: Deflate = createDeflate({ dictionary: SPDY_DICTIONARY, level: 9 });
  #chunks: Buffer[] = [];

  constructor() {
    this.#deflate.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    this.#deflate.on('error', () => undefined);
  }

  async pack(headers: SpdyHeaders): Promise<Buffer> {
    const parts = [words(headers.size)];
    for (const [name, value] of headers) {
      for (const text of [name.toLowerCase(), value]) {
        const bytes = Buffer.from(text);
        parts.push(words(bytes.length), bytes);
      }
    }
    await through(this.#deflate, Buffer.concat(parts));
    const packed = Buffer.concat(this.#chunks);
    this.#chunks = [];
    return packed;
  }

  close(): void {
    this.#deflate.destroy();
  }
}

/** Unpacks header blocks of one direction of a connection. */
export class HeaderUnpacker {
  readonly #inflate: Inflate = createInflate({ dictionary: SPDY_DICTIONARY });
  #chunks: Buffer[] = [];
  #size = 0;
  #failed: Error | undefined;

  constructor() {
    this.#inflate.on('data', (chunk: Buffer) => {
      this.#size += chunk.length;
      if (this.#size <= MAX_BLOCK_BYTES) this.#chunks.push(chunk);
    });
    this.#inflate.on('error', (error) => {
      this.#failed = error;
    });
  }

  /** @throws SpdyError `BAD_HEADERS` */
  async unpack(block: Buffer): Promise<SpdyHeaders> {
    this.#size = 0;
    await through(this.#inflate, block);
    if (this.#failed !== undefined || this.#size > MAX_BLOCK_BYTES) {
      throw new SpdyError('BAD_HEADERS', 'Cannot read SPDY headers: they cannot be unpacked', {
        cause: this.#failed,
      });
    }
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    return parseBlock(bytes);
  }

  close(): void {
    this.#inflate.destroy();
  }
}

/** Resolves also when the stream has failed: nobody would call back then. */
async function through(stream: Deflate | Inflate, bytes: Buffer): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.once('error', resolve);
    stream.write(bytes, () => {
      stream.flush(constants.Z_SYNC_FLUSH, () => {
        stream.off('error', resolve);
        resolve();
      });
    });
    if (stream.destroyed) resolve();
  });
}

function parseBlock(bytes: Buffer): SpdyHeaders {
  const headers = new Map<string, string>();
  let position = 0;
  const number = (): number => {
    if (position + 4 > bytes.length) throw truncated();
    position += 4;
    return bytes.readUInt32BE(position - 4);
  };
  const text = (): string => {
    const length = number();
    if (length > bytes.length - position) throw truncated();
    position += length;
    return bytes.toString('utf8', position - length, position);
  };
  const count = number();
  for (let i = 0; i < count; i++) {
    const name = text().toLowerCase();
    // Several values of one name stand behind each other with a zero between.
    headers.set(name, text().split('\0')[0] ?? '');
  }
  return headers;
}

function truncated(): SpdyError {
  return new SpdyError('BAD_HEADERS', 'Cannot read SPDY headers: the block ends too early');
}
