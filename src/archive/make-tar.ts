import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { cleanPath } from './_byte-path.ts';
import { ArchiveError } from './archive-error.ts';
import { TAR_END, tarHeader, tarPadding } from './tar-writer.ts';

/** Bytes read from a file at a time. */
const READ_CHUNK = 256 * 1024;

interface Attributes {
  /** Where it goes in the image; a leading slash is dropped. */
  readonly path: string;
  /** Permission bits: those of the source by default, else 0644 or 0755. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since the epoch; 0 by default, so that equal input makes equal layers. */
  readonly mtime?: number;
}

/** One thing to put into a layer. */
export type TarSource =
  | (Attributes & { readonly kind: 'file'; readonly from: string })
  | (Attributes & { readonly kind: 'bytes'; readonly bytes: string | Uint8Array })
  | (Attributes & { readonly kind: 'directory' })
  | (Attributes & { readonly kind: 'symlink'; readonly target: string })
  /** A directory of this machine with all that is in it: files, directories and links. */
  | (Attributes & { readonly kind: 'tree'; readonly from: string })
  /** Says that lower layers' `path` is gone. */
  | { readonly kind: 'whiteout'; readonly path: string }
  /** Says that everything below `path` in lower layers is gone. */
  | { readonly kind: 'opaque'; readonly path: string };

/**
 * Makes an uncompressed layer. Entries are sorted by path, parents that are not named become directories 0755 of root, owners are
 * root unless they are given: equal input makes equal bytes.
 *
 * @throws ArchiveError `UNSUPPORTED` for two entries of one path, or a source that is no file, directory or link
 */
export async function* makeTar(sources: readonly TarSource[], signal: AbortSignal): AsyncGenerator<Buffer> {
  const entries = new Map<string, TarSource>();
  for (const source of sources) {
    for await (const entry of expand(source)) {
      const path = cleanPath('path' in entry ? entry.path : '');
      if (entries.has(path) && entry.kind !== 'directory') {
        throw new ArchiveError('UNSUPPORTED', `Cannot make layer: "${path}" is there twice`);
      }
      if (path !== '') entries.set(path, entry);
    }
  }
  for (const path of entries.keys()) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const parent = path.slice(0, at);
      if (!entries.has(parent)) entries.set(parent, { kind: 'directory', path: parent });
    }
  }
  // By components, so that a directory comes right before what is in it.
  const sorted = [...entries].toSorted(([a], [b]) => comparePaths(a, b));
  for (const [path, entry] of sorted) {
    signal.throwIfAborted();
    yield* print(path, entry);
  }
  yield TAR_END;
}

function comparePaths(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a.replaceAll('/', '\0')), Buffer.from(b.replaceAll('/', '\0')));
}

async function* expand(source: TarSource): AsyncGenerator<TarSource> {
  if (source.kind === 'whiteout' || source.kind === 'opaque') {
    const path = cleanPath(source.path);
    const slash = path.lastIndexOf('/') + 1;
    const mark =
      source.kind === 'opaque' ? `${path}/.wh..wh..opq` : `${path.slice(0, slash)}.wh.${path.slice(slash)}`;
    yield { kind: 'bytes', path: mark, bytes: '' };
    return;
  }
  if (source.kind !== 'tree') {
    yield source;
    return;
  }
  const { kind: _, from, ...attributes } = source;
  const facts = await lstat(from);
  if (facts.isDirectory()) {
    yield { ...attributes, kind: 'directory', mode: attributes.mode ?? facts.mode & 0o7777 };
    for (const name of await readdir(from)) {
      const { mode: _, ...inherited } = attributes;
      yield* expand({ ...inherited, kind: 'tree', from: join(from, name), path: `${source.path}/${name}` });
    }
  } else if (facts.isSymbolicLink()) {
    yield { ...attributes, kind: 'symlink', target: await readlink(from) };
  } else if (facts.isFile()) {
    yield { ...attributes, kind: 'file', from };
  } else {
    throw new ArchiveError('UNSUPPORTED', `Cannot make layer: "${from}" is no file, directory or link`);
  }
}

async function* print(path: string, entry: TarSource): AsyncGenerator<Buffer> {
  switch (entry.kind) {
    case 'directory':
      yield tarHeader({ ...attributesOf(entry, 0o755), type: 'directory', path });
      break;
    case 'symlink':
      yield tarHeader({ ...attributesOf(entry, 0o777), type: 'symlink', path, linkPath: entry.target });
      break;
    case 'bytes': {
      const bytes = Buffer.from(entry.bytes as Uint8Array);
      yield tarHeader({ ...attributesOf(entry, 0o644), type: 'file', path, size: bytes.length });
      yield bytes;
      yield tarPadding(bytes.length);
      break;
    }
    case 'file':
      yield* printFile(path, entry);
      break;
    case 'tree':
    case 'whiteout':
    case 'opaque':
      throw new Error(`unreachable: ${entry.kind} was expanded`);
  }
}

async function* printFile(path: string, entry: TarSource & { kind: 'file' }): AsyncGenerator<Buffer> {
  const stream = createReadStream(entry.from, { highWaterMark: READ_CHUNK });
  const facts = await lstat(entry.from);
  const { size } = facts;
  yield tarHeader({ ...attributesOf(entry, facts.mode & 0o7777), type: 'file', path, size });
  let written = 0;
  for await (const chunk of stream) {
    written += (chunk as Buffer).length;
    if (written > size) break;
    yield chunk as Buffer;
  }
  if (written !== size)
    throw new ArchiveError('IO', `Cannot make layer: "${entry.from}" changed while it was read`);
  yield tarPadding(size);
}

function attributesOf(
  { mode, uid, gid, mtime }: Omit<Attributes, 'path'>,
  defaultMode: number,
): { mode: number; uid: number; gid: number; mtime: number } {
  return { mode: mode ?? defaultMode, uid: uid ?? 0, gid: gid ?? 0, mtime: mtime ?? 0 };
}
