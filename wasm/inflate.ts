/*
 * Inflates one gzip stream, also of several members (RFC 1952 over RFC 1951), in pieces.
 *
 * All state lies in the first page of a memory that is given, at fixed addresses, so that threads that share the memory can take turns:
 * whoever has the turn calls `run`. Input and output lie behind that page, where the caller wants them. What `run` needs at once (a
 * header, a symbol) and does not find whole, it leaves unread: the caller keeps those bytes and puts more behind them.
 *
 * Everything that is read here was chosen by whoever made the stream: each store lies between `out` and `outEnd`, each copy begins at or
 * behind the member's first byte (`reach`), each table index is masked to the table's size.
 */

// The first page. Sizes of tables: most entries that zlib's `enough` finds for these widths.
/** Codes of literals and lengths: 1,334 entries of 4 bytes. */
const LITLEN: usize = 4096;
/** Codes of distances: 402 entries. */
const DIST: usize = 16384;
/** Codes of code lengths: 128 entries. */
const PRE: usize = 20480;
/** Lengths of codes, a byte each: 320 and what a bad repetition may run over. */
const LENS: usize = 24576;
/** Codes of each length. */
const COUNT: usize = 25600;
/** Where symbols of each length begin in SORTED. */
const OFFS: usize = 25728;
/** Symbols in the order of their codes. */
const SORTED: usize = 25856;
/** What stays between two calls of `run`. */
const STATE: usize = 1024;
const IN_AT: usize = 1088;
const OUT_AT: usize = 1092;

const LITLEN_BITS: u32 = 10;
const LITLEN_MASK: usize = (1 << LITLEN_BITS) - 1;
const DIST_BITS: u32 = 8;
const DIST_MASK: usize = (1 << DIST_BITS) - 1;
const PRE_BITS: u32 = 7;
const PRE_MASK: usize = (1 << PRE_BITS) - 1;

/*
 * An entry of a table. Its low six bits say how many bits it uses, extra bits included; shifts look at no others, so entries are shifted
 * by as they are.
 *
 *   one or two literals   LITERAL [PAIR] second << 16 | first << 8 | bits
 *   length or distance    base << 16 | bits of the code << 8 | bits
 *   further table         EXCEPTION SUBTABLE start << 16 | its width << 8 | bits
 *   end of block          EXCEPTION END bits
 *   no code               EXCEPTION bits
 */
const LITERAL: u32 = 0x80000000;
const PAIR: u32 = 0x40000000;
const EXCEPTION: u32 = 0x8000;
const SUBTABLE: u32 = 0x4000;
const END: u32 = 0x2000;

const KIND_LITLEN: i32 = 0;
const KIND_DIST: i32 = 1;
const KIND_PRE: i32 = 2;

// What `run` returns; negative numbers are errors, which the caller has the words for.
const NEED_INPUT: i32 = 0;
const NEED_OUTPUT: i32 = 1;
/** Something follows the last member that is none: it is ignored, as gzip ignores it. */
const TRAILING: i32 = 2;
const GO_ON: i32 = 3;

const BAD_MAGIC: i32 = -1;
const BAD_METHOD: i32 = -2;
const BAD_FLAGS: i32 = -3;
const BAD_BLOCK: i32 = -4;
const BAD_STORED: i32 = -5;
const BAD_COUNTS: i32 = -6;
const BAD_CODE_LENGTHS: i32 = -7;
const BAD_REPEAT: i32 = -8;
const NO_END: i32 = -9;
const BAD_LITLENS: i32 = -10;
const BAD_DISTS: i32 = -11;
const BAD_LITLEN: i32 = -12;
const BAD_DIST: i32 = -13;
const TOO_FAR: i32 = -14;
const BAD_LENGTH: i32 = -15;

// Where in a stream it is.
/** Before the first member; its state is that of a memory of zeros. */
const AT_START: i32 = 0;
/** Behind a member: the stream may end here. */
const BETWEEN: i32 = 1;
const AT_EXTRA: i32 = 2;
const IN_EXTRA: i32 = 3;
const IN_NAME: i32 = 4;
const IN_COMMENT: i32 = 5;
const AT_HEADER_CRC: i32 = 6;
const AT_BLOCK: i32 = 7;
const IN_STORED: i32 = 8;
const IN_CODES: i32 = 9;
const AT_TRAILER: i32 = 10;

const HEADER_BYTES: usize = 10;
const TRAILER_BYTES: usize = 8;
const FLAG_HEADER_CRC: u32 = 2;
const FLAG_EXTRA: u32 = 4;
const FLAG_NAME: u32 = 8;
const FLAG_COMMENT: u32 = 16;
const FLAGS_RESERVED: u32 = 0xe0;

/** How far back a match may reach. */
const HISTORY: u32 = 32768;
/** Room behind what one fast turn makes: two pairs of literals, the longest match, and what copies in steps of 32 bytes run over. */
const OUT_SLACK: usize = 320;
/** Bytes that one fast turn may read: three times eight, each beginning within the seven before. */
const IN_SLACK: usize = 32;

/** Lengths of code lengths come in this order. */
const ORDER: usize = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]);

// Loaded from STATE when a call of `run` begins, stored there when it ends.
let bits: u64 = 0;
let count: u32 = 0;
let place: i32 = 0;
let last: u32 = 0;
/** Bytes left of a stored block or an extra field. */
let left: u32 = 0;
let flags: u32 = 0;
/** Bytes of this member so far, modulo 2³² as its trailer has them. */
let made: u32 = 0;
/** How far back this member reaches: all of it, HISTORY at most. */
let reach: u32 = 0;

function loadState(): void {
  bits = load<u64>(STATE);
  count = load<u32>(STATE, 8);
  place = load<i32>(STATE, 12);
  last = load<u32>(STATE, 16);
  left = load<u32>(STATE, 20);
  flags = load<u32>(STATE, 24);
  made = load<u32>(STATE, 28);
  reach = load<u32>(STATE, 32);
}

function storeState(): void {
  store<u64>(STATE, bits);
  store<u32>(STATE, count, 8);
  store<i32>(STATE, place, 12);
  store<u32>(STATE, last, 16);
  store<u32>(STATE, left, 20);
  store<u32>(STATE, flags, 24);
  store<u32>(STATE, made, 28);
  store<u32>(STATE, reach, 32);
}

/** Begins a new stream. */
export function reset(): void {
  memory.fill(STATE, 0, 64);
}

/** Whether a stream may end here: behind a member. */
export function between(): bool {
  return load<i32>(STATE, 12) == BETWEEN;
}

/** Moves bytes: JavaScript does so one by one where threads share a memory. */
export function move(to: usize, from: usize, length: usize): void {
  memory.copy(to, from, length);
}

/** Where the last `run` stopped reading. */
export function inAt(): usize {
  return load<usize>(IN_AT);
}

/** Where the last `run` stopped writing. */
export function outAt(): usize {
  return load<usize>(OUT_AT);
}

function lengthExtra(symbol: u32): u32 {
  return symbol < 8 || symbol == 28 ? 0 : (symbol >> 2) - 1;
}

function lengthBase(symbol: u32): u32 {
  if (symbol < 8) return symbol + 3;
  if (symbol == 28) return 258;
  return ((4 + (symbol & 3)) << lengthExtra(symbol)) + 3;
}

function distExtra(symbol: u32): u32 {
  return symbol < 4 ? 0 : (symbol >> 1) - 1;
}

function distBase(symbol: u32): u32 {
  if (symbol < 4) return symbol + 1;
  return ((2 + (symbol & 1)) << distExtra(symbol)) + 1;
}

function entryOf(kind: i32, symbol: u32, length: u32): u32 {
  if (kind == KIND_LITLEN) {
    if (symbol < 256) return LITERAL | (symbol << 8) | length;
    if (symbol == 256) return EXCEPTION | END | length;
    if (symbol > 285) return EXCEPTION | length;
    const extra = lengthExtra(symbol - 257);
    return (lengthBase(symbol - 257) << 16) | (length << 8) | (length + extra);
  }
  if (kind == KIND_DIST) {
    if (symbol > 29) return EXCEPTION | length;
    return (distBase(symbol) << 16) | (length << 8) | (length + distExtra(symbol));
  }
  return (symbol << 16) | length;
}

/**
 * Makes the table of a canonical code: as many bits as it is wide lead to an entry, or to a further table for longer codes.
 *
 * @returns whether the lengths are those of a code: complete, or one code of one bit, or (distances) none
 */
function build(table: usize, width: u32, lengths: usize, symbols: u32, kind: i32): bool {
  memory.fill(COUNT, 0, 64);
  for (let i: u32 = 0; i < symbols; i++) {
    const at = COUNT + (<usize>load<u8>(lengths + i) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
  store<u32>(COUNT, 0);
  let longest: u32 = 15;
  while (longest > 0 && load<u32>(COUNT + (longest << 2)) == 0) longest--;
  let unused: i32 = 1;
  let offset: u32 = 0;
  for (let length: u32 = 1; length <= 15; length++) {
    const codes = load<u32>(COUNT + (length << 2));
    unused = (unused << 1) - <i32>codes;
    if (unused < 0) return false;
    store<u32>(OFFS + (length << 2), offset);
    offset += codes;
  }
  const size: u32 = 1 << width;
  if (unused > 0) {
    if (kind == KIND_PRE || longest > 1) return false;
    for (let i: u32 = 0; i < size; i++) store<u32>(table + (i << 2), EXCEPTION | 1);
    if (longest == 0) return true;
  }
  for (let i: u32 = 0; i < symbols; i++) {
    const length = <u32>load<u8>(lengths + i);
    if (length == 0) continue;
    const at = OFFS + (length << 2);
    const position = load<u32>(at);
    store<u16>(SORTED + (position << 1), <u16>i);
    store<u32>(at, position + 1);
  }
  fill(table, width, kind, longest);
  if (kind == KIND_LITLEN) pair(table, width);
  return true;
}

/** Enters the sorted symbols. Codes are kept with their first bit lowest, as the stream has them. */
function fill(table: usize, width: u32, kind: i32, longest: u32): void {
  const size: u32 = 1 << width;
  let code: u32 = 0;
  let next: u32 = size;
  let position: usize = 0;
  let prefix: u32 = 0xffffffff;
  let start: u32 = 0;
  let subWidth: u32 = 0;
  for (let length: u32 = 1; length <= longest; length++) {
    for (let codes = load<u32>(COUNT + (length << 2)); codes > 0; codes--) {
      const symbol = <u32>load<u16>(SORTED + (position++ << 1));
      if (length <= width) {
        const entry = entryOf(kind, symbol, length);
        for (let i = code; i < size; i += 1 << length) store<u32>(table + (i << 2), entry);
      } else {
        if ((code & (size - 1)) != prefix) {
          prefix = code & (size - 1);
          subWidth = widthOf(length, width, codes, longest);
          start = next;
          next += 1 << subWidth;
          store<u32>(table + (prefix << 2), EXCEPTION | SUBTABLE | (start << 16) | (subWidth << 8) | width);
        }
        const entry = entryOf(kind, symbol, length - width);
        const subSize: u32 = 1 << subWidth;
        for (let i = code >> width; i < subSize; i += 1 << (length - width))
          store<u32>(table + ((start + i) << 2), entry);
      }
      let bit: u32 = 1 << (length - 1);
      while ((code & bit) != 0) bit >>= 1;
      code = bit == 0 ? 0 : (code & (bit - 1)) | bit;
    }
  }
}

/** How wide a further table has to be that begins with a code of this length, of which so many are left. */
function widthOf(length: u32, width: u32, codes: u32, longest: u32): u32 {
  let subWidth = length - width;
  let room: i32 = 1 << subWidth;
  let used: i32 = <i32>codes;
  while (subWidth + width < longest) {
    room -= used;
    if (room <= 0) break;
    subWidth++;
    room <<= 1;
    used = load<i32>(COUNT + ((subWidth + width) << 2));
  }
  return subWidth;
}

/**
 * Has a literal bring the one behind it along where both fit into the width: half of the steps through text. From the last entry down, so
 * that what is looked up is still single.
 */
function pair(table: usize, width: u32): void {
  for (let i: i32 = (1 << width) - 1; i >= 0; i--) {
    const entry = load<u32>(table + (<usize>i << 2));
    const length = entry & 63;
    if (<i32>entry >= 0 || length >= width) continue;
    const second = load<u32>(table + ((<usize>i >> <usize>length) << 2));
    const both = length + (second & 63);
    if (<i32>second >= 0 || both > width) continue;
    store<u32>(table + (<usize>i << 2), LITERAL | PAIR | ((second & 0xff00) << 8) | (entry & 0xff00) | both);
  }
}

function buildFixed(): void {
  for (let i: usize = 0; i < 288; i++)
    store<u8>(LENS + i, i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8);
  build(LITLEN, LITLEN_BITS, LENS, 288, KIND_LITLEN);
  memory.fill(LENS, 5, 32);
  build(DIST, DIST_BITS, LENS, 32, KIND_DIST);
}

// What reads the header of a block, bit by bit.
let headIn: usize = 0;
let headEnd: usize = 0;
let headBits: u64 = 0;
let headCount: u32 = 0;

function need(wanted: u32): bool {
  while (headCount < wanted) {
    if (headIn >= headEnd) return false;
    headBits |= <u64>load<u8>(headIn++) << headCount;
    headCount += 8;
  }
  return true;
}

function take(wanted: u32): u32 {
  const value = <u32>headBits & ((1 << wanted) - 1);
  headBits >>= wanted;
  headCount -= wanted;
  return value;
}

/** Reads the header of a block: GO_ON, NEED_INPUT or an error. */
function blockHeader(): i32 {
  if (!need(3)) return NEED_INPUT;
  last = take(1);
  const type = take(2);
  if (type == 0) {
    take(headCount & 7);
    if (!need(32)) return NEED_INPUT;
    left = take(16);
    if (take(16) != (left ^ 0xffff)) return BAD_STORED;
    place = IN_STORED;
    return GO_ON;
  }
  if (type == 3) return BAD_BLOCK;
  if (type == 1) buildFixed();
  else {
    const status = dynamicHeader();
    if (status != GO_ON) return status;
  }
  place = IN_CODES;
  return GO_ON;
}

function dynamicHeader(): i32 {
  if (!need(14)) return NEED_INPUT;
  const litlens = take(5) + 257;
  const dists = take(5) + 1;
  const pres = take(4) + 4;
  if (litlens > 286 || dists > 30) return BAD_COUNTS;
  memory.fill(LENS, 0, 19);
  for (let i: u32 = 0; i < pres; i++) {
    if (!need(3)) return NEED_INPUT;
    store<u8>(LENS + <usize>load<u8>(ORDER + i), <u8>take(3));
  }
  if (!build(PRE, PRE_BITS, LENS, 19, KIND_PRE)) return BAD_CODE_LENGTHS;
  const total = litlens + dists;
  for (let i: u32 = 0; i < total; ) {
    need(14);
    const entry = load<u32>(PRE + ((<usize>headBits & PRE_MASK) << 2));
    const symbol = entry >> 16;
    const extra: u32 = symbol < 16 ? 0 : symbol == 16 ? 2 : symbol == 17 ? 3 : 7;
    if (headCount < (entry & 63) + extra) return NEED_INPUT;
    take(entry & 63);
    if (symbol < 16) {
      store<u8>(LENS + i++, <u8>symbol);
      continue;
    }
    if (symbol == 16 && i == 0) return BAD_REPEAT;
    const value: u8 = symbol == 16 ? load<u8>(LENS + i - 1) : 0;
    const times = (symbol == 18 ? 11 : 3) + take(extra);
    if (i + times > total) return BAD_REPEAT;
    memory.fill(LENS + i, value, times);
    i += times;
  }
  if (load<u8>(LENS + 256) == 0) return NO_END;
  if (!build(LITLEN, LITLEN_BITS, LENS, litlens, KIND_LITLEN)) return BAD_LITLENS;
  if (!build(DIST, DIST_BITS, LENS + litlens, dists, KIND_DIST)) return BAD_DISTS;
  return GO_ON;
}

/** Copies a match in steps of up to 32 bytes, which may run over its end. */
// @ts-ignore: AssemblyScript's decorator
@inline
function copyMatch(to: usize, from: usize, length: u32, dist: u32): void {
  const end = to + length;
  if (dist >= 16) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    if (length > 32) {
      to += 32;
      from += 32;
      do {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
        to += 32;
        from += 32;
      } while (to < end);
    }
  } else if (dist >= 8) {
    do {
      store<u64>(to, load<u64>(from));
      to += 8;
      from += 8;
    } while (to < end);
  } else if (dist == 1) {
    const byte = i8x16.splat(load<i8>(from));
    do {
      v128.store(to, byte);
      to += 16;
    } while (to < end);
  } else {
    do {
      store<u8>(to++, load<u8>(from++));
    } while (to < end);
  }
}

/**
 * Inflates from `inp` up to `inEnd` into `out` up to `outEnd`; `inAt` and `outAt` tell where it stopped. The 32 KiB before `out` hold
 * what was made before.
 *
 * @returns NEED_INPUT: the bytes from `inAt` on are wanted again with more behind them; NEED_OUTPUT: there is no room for the next piece
 *   (258 bytes at most); TRAILING; an error
 */
export function run(inp: usize, inEnd: usize, out: usize, outEnd: usize): i32 {
  loadState();
  let status: i32 = GO_ON;
  let b = bits;
  let n = count;
  /** Where this call began to make bytes of this member. */
  let began = out;
  let history = out - reach;
  while (status == GO_ON) {
    switch (place) {
      case AT_START:
      case BETWEEN: {
        if (inEnd - inp < HEADER_BYTES) {
          // A few bytes that are no beginning of a member are not waited for.
          const strange =
            inEnd - inp >= 2 && load<u16>(inp) != 0x8b1f ? true : inEnd - inp == 1 && load<u8>(inp) != 0x1f;
          status = !strange ? NEED_INPUT : place == BETWEEN ? TRAILING : BAD_MAGIC;
          continue;
        }
        if (load<u16>(inp) != 0x8b1f) {
          status = place == BETWEEN ? TRAILING : BAD_MAGIC;
          continue;
        }
        if (load<u8>(inp, 2) != 8) {
          status = BAD_METHOD;
          continue;
        }
        flags = load<u8>(inp, 3);
        if ((flags & FLAGS_RESERVED) != 0) {
          status = BAD_FLAGS;
          continue;
        }
        inp += HEADER_BYTES;
        made = 0;
        reach = 0;
        began = out;
        history = out;
        last = 0;
        b = 0;
        n = 0;
        place = AT_EXTRA;
        continue;
      }
      case AT_EXTRA: {
        if ((flags & FLAG_EXTRA) == 0) {
          place = IN_NAME;
          continue;
        }
        if (inEnd - inp < 2) {
          status = NEED_INPUT;
          continue;
        }
        left = load<u16>(inp);
        inp += 2;
        place = IN_EXTRA;
        continue;
      }
      case IN_EXTRA: {
        const skipped = min(<u32>(inEnd - inp), left);
        inp += skipped;
        left -= skipped;
        if (left == 0) place = IN_NAME;
        else status = NEED_INPUT;
        continue;
      }
      case IN_NAME:
      case IN_COMMENT: {
        if ((flags & (place == IN_NAME ? FLAG_NAME : FLAG_COMMENT)) != 0) {
          while (inp < inEnd && load<u8>(inp) != 0) inp++;
          if (inp == inEnd) {
            status = NEED_INPUT;
            continue;
          }
          inp++;
        }
        place++;
        continue;
      }
      case AT_HEADER_CRC: {
        if ((flags & FLAG_HEADER_CRC) != 0) {
          if (inEnd - inp < 2) {
            status = NEED_INPUT;
            continue;
          }
          inp += 2;
        }
        place = AT_BLOCK;
        continue;
      }
      case AT_BLOCK: {
        if (last != 0) {
          // What is left of the last byte is padding; whole bytes go back.
          inp -= n >> 3;
          b = 0;
          n = 0;
          place = AT_TRAILER;
          continue;
        }
        headIn = inp;
        headEnd = inEnd;
        headBits = b;
        headCount = n;
        const read = blockHeader();
        if (read == GO_ON) {
          inp = headIn;
          b = headBits;
          n = headCount;
        } else {
          // The header is read again from its first bit.
          last = 0;
          place = AT_BLOCK;
          status = read;
        }
        continue;
      }
      case IN_STORED: {
        inp -= n >> 3;
        b = 0;
        n = 0;
        const copied = min(min(<u32>(inEnd - inp), <u32>(outEnd - out)), left);
        memory.copy(out, inp, copied);
        out += copied;
        inp += copied;
        left -= copied;
        if (left == 0) place = AT_BLOCK;
        else status = inp == inEnd ? NEED_INPUT : NEED_OUTPUT;
        continue;
      }
      case AT_TRAILER: {
        if (inEnd - inp < TRAILER_BYTES) {
          status = NEED_INPUT;
          continue;
        }
        if (load<u32>(inp, 4) != made + <u32>(out - began)) {
          status = BAD_LENGTH;
          continue;
        }
        inp += TRAILER_BYTES;
        place = BETWEEN;
        continue;
      }
      default:
        break;
    }
    if (inp + IN_SLACK <= inEnd && out + OUT_SLACK <= outEnd) {
      // Fast turns: nothing in them can run out of bytes or room. At their beginning 56 bits are there, and the entry for the next.
      const inFast = inEnd - IN_SLACK;
      const outFast = outEnd - OUT_SLACK;
      b |= load<u64>(inp) << n;
      inp += (63 - n) >> 3;
      n |= 56;
      let e = load<u32>((<usize>b & LITLEN_MASK) << 2, LITLEN);
      do {
        if (<i32>e < 0) {
          b >>= <u64>e;
          n -= e & 63;
          store<u16>(out, e >> 8);
          out += 1 + ((e >> 30) & 1);
          e = load<u32>((<usize>b & LITLEN_MASK) << 2, LITLEN);
          if (<i32>e < 0) {
            b >>= <u64>e;
            n -= e & 63;
            store<u16>(out, e >> 8);
            out += 1 + ((e >> 30) & 1);
            e = load<u32>((<usize>b & LITLEN_MASK) << 2, LITLEN);
            if (<i32>e < 0) {
              b >>= <u64>e;
              n -= e & 63;
              store<u16>(out, e >> 8);
              out += 1 + ((e >> 30) & 1);
              e = load<u32>((<usize>b & LITLEN_MASK) << 2, LITLEN);
              b |= load<u64>(inp) << n;
              inp += (63 - n) >> 3;
              n |= 56;
              continue;
            }
          }
        }
        if ((e & EXCEPTION) != 0) {
          if ((e & SUBTABLE) != 0) {
            b >>= LITLEN_BITS;
            n -= LITLEN_BITS;
            e = load<u32>((<usize>(e >> 16) + (<usize>b & ((1 << ((e >> 8) & 15)) - 1))) << 2, LITLEN);
            if (<i32>e < 0) {
              b >>= <u64>e;
              n -= e & 63;
              store<u8>(out++, e >> 8);
              b |= load<u64>(inp) << n;
              inp += (63 - n) >> 3;
              n |= 56;
              e = load<u32>((<usize>b & LITLEN_MASK) << 2, LITLEN);
              continue;
            }
          }
          if ((e & EXCEPTION) != 0) {
            if ((e & END) != 0) {
              b >>= <u64>e;
              n -= e & 63;
              place = AT_BLOCK;
            } else status = BAD_LITLEN;
            break;
          }
        }
        let before = b;
        b >>= <u64>e;
        n -= e & 63;
        const length = (e >> 16) + <u32>((before & ((<u64>1 << <u64>e) - 1)) >> <u64>(e >> 8));
        // A distance takes 28 bits at most, and behind it an entry is looked up.
        if (n < 28 + LITLEN_BITS) {
          b |= load<u64>(inp) << n;
          inp += (63 - n) >> 3;
          n |= 56;
        }
        let d = load<u32>((<usize>b & DIST_MASK) << 2, DIST);
        if ((d & EXCEPTION) != 0) {
          if ((d & SUBTABLE) != 0) {
            b >>= DIST_BITS;
            n -= DIST_BITS;
            d = load<u32>((<usize>(d >> 16) + (<usize>b & ((1 << ((d >> 8) & 15)) - 1))) << 2, DIST);
          }
          if ((d & EXCEPTION) != 0) {
            status = BAD_DIST;
            break;
          }
        }
        before = b;
        b >>= <u64>d;
        n -= d & 63;
        const dist = (d >> 16) + <u32>((before & ((<u64>1 << <u64>d) - 1)) >> <u64>(d >> 8));
        if (dist > <u32>(out - history)) {
          status = TOO_FAR;
          break;
        }
        e = load<u32>((<usize>b & LITLEN_MASK) << 2, LITLEN);
        b |= load<u64>(inp) << n;
        inp += (63 - n) >> 3;
        n |= 56;
        copyMatch(out, out - dist, length, dist);
        out += length;
      } while (inp <= inFast && out <= outFast);
      // Bits above the count are read again.
      b &= (<u64>1 << n) - 1;
      continue;
    }
    // One symbol at a time where bytes or room may end; what is not whole is left as it was.
    const b0 = b;
    const n0 = n;
    const in0 = inp;
    while (n < 48 && inp < inEnd) {
      b |= <u64>load<u8>(inp++) << n;
      n += 8;
    }
    let used: u32 = 0;
    let e = load<u32>((<usize>b & LITLEN_MASK) << 2, LITLEN);
    if (<i32>e >= 0 && (e & (EXCEPTION | SUBTABLE)) == (EXCEPTION | SUBTABLE)) {
      used = LITLEN_BITS;
      const index = <usize>(b >> LITLEN_BITS) & ((1 << ((e >> 8) & 15)) - 1);
      e = load<u32>((<usize>(e >> 16) + index) << 2, LITLEN);
    }
    if (<i32>e < 0) {
      used += e & 63;
      if (used > n) status = NEED_INPUT;
      else if (out + 2 > outEnd) status = NEED_OUTPUT;
      else {
        store<u16>(out, e >> 8);
        out += 1 + ((e >> 30) & 1);
      }
    } else if ((e & EXCEPTION) != 0) {
      used += e & 63;
      if (used > n) status = NEED_INPUT;
      else if ((e & END) != 0) place = AT_BLOCK;
      else status = BAD_LITLEN;
    } else {
      let rest = b >> used;
      const length = (e >> 16) + <u32>((rest & ((<u64>1 << <u64>e) - 1)) >> <u64>(e >> 8));
      used += e & 63;
      rest = b >> used;
      let d = load<u32>((<usize>rest & DIST_MASK) << 2, DIST);
      if ((d & (EXCEPTION | SUBTABLE)) == (EXCEPTION | SUBTABLE)) {
        used += DIST_BITS;
        rest = b >> used;
        d = load<u32>((<usize>(d >> 16) + (<usize>rest & ((1 << ((d >> 8) & 15)) - 1))) << 2, DIST);
      }
      const dist = (d >> 16) + <u32>((rest & ((<u64>1 << <u64>d) - 1)) >> <u64>(d >> 8));
      used += d & 63;
      if (used > n) status = NEED_INPUT;
      else if ((d & EXCEPTION) != 0) status = BAD_DIST;
      else if (dist > <u32>(out - history)) status = TOO_FAR;
      else if (length > <u32>(outEnd - out)) status = NEED_OUTPUT;
      else {
        let from = out - dist;
        const end = out + length;
        while (out < end) store<u8>(out++, load<u8>(from++));
      }
    }
    if (status == GO_ON) {
      b >>= used;
      n -= used;
    } else {
      b = b0;
      n = n0;
      inp = in0;
    }
  }
  // Whole bytes that were read ahead go back, so that less than a byte stays between calls.
  inp -= n >> 3;
  n &= 7;
  bits = b & ((<u64>1 << n) - 1);
  count = n;
  const delta = <u32>(out - began);
  made += delta;
  reach = min(HISTORY, reach + delta);
  storeState();
  store<usize>(IN_AT, inp);
  store<usize>(OUT_AT, out);
  return status;
}
