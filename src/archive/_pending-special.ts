import { makeNodes, setXattrs, type NodeRequest, type XattrRequest } from './_special-files.ts';
import type { Skipped } from './_skipped.ts';
import type { LayerXattr } from './apply-options.ts';
import { ArchiveError } from './archive-error.ts';

/** Requests gathered before a helper process runs: bounds memory, and hardly any layer has so many. */
const MAX_PENDING = 10_000;

/** Device nodes, fifos and extended attributes waiting for their helper process. */
export class SpecialFiles {
  readonly #skipped: Skipped;
  readonly #nodes = new Map<string, { request: NodeRequest; made: () => void }>();
  readonly #xattrs = new Map<string, XattrRequest[]>();

  constructor(skipped: Skipped) {
    this.#skipped = skipped;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Tells whether a node waits to be made at `path` (relative byte path). */
  has(path: string): boolean {
    return this.#nodes.size > 0 && this.#nodes.has(path);
  }

  /** Makes a node with the next batch, then calls `made`. */
  makeNode(path: string, request: NodeRequest, made: () => void): void {
    this.#nodes.set(path, { request, made });
    if (this.#nodes.size >= MAX_PENDING) this.flush();
  }

  /** Sets attributes with the last batch: changing an owner or content would take capabilities away again. */
  setXattrs(path: string, absolute: string, xattrs: ReadonlyMap<string, Buffer>): void {
    const requests: XattrRequest[] = [];
    for (const [name, value] of xattrs) {
      // What overlayfs keeps in its own attributes would redirect or hide directories of the lower layers.
      if (/^(?:trusted|user)\.overlay\./.test(name)) continue;
      // Labels of the build machine mean nothing here: where SELinux runs, the runtime labels the container's mount.
      if (name === 'security.selinux') continue;
      requests.push({ path: absolute, name, value });
    }
    if (requests.length > 0) this.#xattrs.set(path, requests);
  }

  /** Drops the attributes of what is replaced. */
  forget(path: string): void {
    if (this.#xattrs.size > 0) this.#xattrs.delete(path);
  }

  /** Makes the nodes that wait. @throws ArchiveError `IO` */
  flush(): void {
    if (this.#nodes.size === 0) return;
    const waiting = [...this.#nodes.values()];
    this.#nodes.clear();
    const complaint = makeNodes(waiting.map(({ request }) => request));
    if (complaint !== undefined) throw new ArchiveError('IO', `Cannot make device nodes: ${complaint}`);
    for (const { made } of waiting) made();
  }

  /** Sets the attributes that wait and returns them; what the file system refuses is recorded as skipped. */
  settleXattrs(exists: (path: string) => boolean): LayerXattr[] {
    const requests: XattrRequest[] = [];
    const layer: LayerXattr[] = [];
    for (const [path, waiting] of this.#xattrs) {
      if (!exists(path)) continue;
      requests.push(...waiting);
      for (const { name, value } of waiting)
        layer.push({ path, name, valueBase64: value.toString('base64') });
    }
    const complaint = setXattrs(requests);
    if (complaint === undefined) return layer;
    // The helper stops at nothing but says little: one by one it shows which attribute is refused.
    for (const request of requests) {
      const reason = setXattrs([request]);
      if (reason !== undefined) {
        this.#skipped.add('xattr', request.path, {
          name: request.name,
          valueBase64: request.value.toString('base64'),
          reason,
        });
      }
    }
    return layer;
  }
}
