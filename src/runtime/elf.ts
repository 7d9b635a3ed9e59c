import { open } from 'node:fs/promises';

/** What the head of an ELF file says about where and how it runs. @see System V ABI, "Object Files" */
export interface ElfHeader {
  /** Processor in the words of OCI platforms (`amd64`, `arm64` …), or `machine N` for one without such a name. */
  readonly architecture: string;
  readonly bits: 32 | 64;
  /** Path of the dynamic loader; undefined for a static program. */
  readonly interpreter: string | undefined;
}

/** e_machine values that OCI platforms have names for. */
const MACHINES: Readonly<Record<number, string>> = {
  3: '386',
  8: 'mips',
  21: 'ppc64le',
  22: 's390x',
  40: 'arm',
  62: 'amd64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};

const PT_INTERP = 3;
/** Enough for the header and every program header that a real program has. */
const HEAD_BYTES = 64 * 1024;
/** Linux does not follow longer loader paths (PATH_MAX). */
const LONGEST_PATH = 4096;

/** Reads the header of the file at `path`; undefined when it is not an ELF file. */
export async function readElfHeader(path: string): Promise<ElfHeader | undefined> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(HEAD_BYTES);
    const { bytesRead } = await file.read(buffer, 0, HEAD_BYTES, 0);
    return parseElfHeader(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

/** Parses the first bytes of a file; undefined when they are not an ELF header. The bytes may be hostile. */
export function parseElfHeader(head: Buffer): ElfHeader | undefined {
  if (head.length < 52 || head.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const bits = head[4] === 2 ? 64 : 32;
  const little = head[5] === 1;
  if (bits === 64 && head.length < 64) return undefined;
  const u16 = (at: number): number => (little ? head.readUInt16LE(at) : head.readUInt16BE(at));
  const u32 = (at: number): number => (little ? head.readUInt32LE(at) : head.readUInt32BE(at));
  const word = (at: number): number =>
    bits === 32 ? u32(at) : Number(little ? head.readBigUInt64LE(at) : head.readBigUInt64BE(at));
  const machine = u16(18);
  const tableAt = word(bits === 64 ? 32 : 28);
  const entrySize = u16(bits === 64 ? 54 : 42);
  const entries = u16(bits === 64 ? 56 : 44);
  const smallest = bits === 64 ? 56 : 32;
  let interpreter: string | undefined;
  for (let i = 0; i < entries && entrySize >= smallest; i++) {
    const at = tableAt + i * entrySize;
    if (!Number.isSafeInteger(at) || at + smallest > head.length) break;
    if (u32(at) !== PT_INTERP) continue;
    const from = word(at + (bits === 64 ? 8 : 4));
    const size = word(at + (bits === 64 ? 32 : 16));
    if (size > LONGEST_PATH || from + size > head.length) break;
    interpreter = head
      .subarray(from, from + size)
      .toString('utf8')
      .replace(/\0.*$/s, '');
  }
  return { architecture: MACHINES[machine] ?? `machine ${machine}`, bits, interpreter };
}
