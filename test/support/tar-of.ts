import { TAR_END, tarHeader, tarPadding, type TarEntryInput } from '../../src/archive/tar-writer.ts';

/** An entry of a small archive for tests: a path alone is an empty file, or a directory when it ends in a slash. */
export type TarOfEntry =
  | string
  | (Partial<Pick<TarEntryInput, 'type'>> & Omit<TarEntryInput, 'type'> & { content?: string | Buffer });

/** Packs entries exactly as they are given, hostile or not. */
export function tarOf(...entries: readonly TarOfEntry[]): Buffer {
  const blocks: Buffer[] = [];
  for (const entry of entries) {
    const { content, ...input } =
      typeof entry === 'string' ? { path: entry, content: '' } : { content: '', ...entry };
    const bytes = Buffer.from(content);
    const isDirectory = Buffer.from(input.path).at(-1) === 0x2f;
    const type = input.type ?? (isDirectory ? 'directory' : 'file');
    blocks.push(tarHeader({ ...input, type, size: bytes.length }), bytes, tarPadding(bytes.length));
  }
  return Buffer.concat([...blocks, TAR_END]);
}
