import { lstatSync, mkdirSync } from 'node:fs';
import { bytePath, fsPath, parentOf } from './_byte-path.ts';
import { copyMetadata, LinkedCopies } from './_copy-entry.ts';
import { Directories } from './_directories.ts';
import { setXattrs, type XattrRequest } from './_special-files.ts';
import { listNames, removeTree } from './_tree.ts';
import type { UnpackedLayer } from './apply-options.ts';

/**
 * Makes one private tree of a stack of layers, as a mounted overlay would show it. Files are copied (sharing blocks where the
 * file system can), never hard-linked: a container that writes must not reach the layers.
 *
 * @param layers base first
 * @param target empty directory
 */
export function mergeLayers(layers: readonly UnpackedLayer[], target: string): void {
  for (const layer of layers) addLayer(layer, bytePath(target));
  // Last, because every layer changes the times of the root.
  const declared = layers.findLast((layer) => layer.rootDeclared);
  if (declared !== undefined) copyMetadata(bytePath(target), lstatSync(fsPath(bytePath(declared.directory))));
}

function addLayer(layer: UnpackedLayer, target: string): void {
  const whiteouts = new Set(layer.whiteouts);
  // A lower layer may have a link where this one has a directory: nothing behind it is this layer's to remove.
  const directories = new Directories(target);
  for (const path of whiteouts) if (directories.isReal(parentOf(path))) removeTree(`${target}/${path}`);
  directories.forget();
  for (const path of layer.opaque) {
    if (!directories.isReal(path)) continue;
    const directory = directories.absolute(path);
    for (const name of listNames(directory)) removeTree(`${directory}/${name}`);
    directories.forget();
  }
  copyDirectory(bytePath(layer.directory), target, '', whiteouts, new LinkedCopies());
  const requests: XattrRequest[] = [];
  for (const { path, name, valueBase64 } of layer.xattrs) {
    const absolute = path === '' ? target : `${target}/${path}`;
    if (lstatSync(fsPath(absolute), { throwIfNoEntry: false }) === undefined) continue;
    requests.push({ path: absolute, name, value: Buffer.from(valueBase64, 'base64') });
  }
  // What could be set while unpacking can be set here; what could not was recorded there.
  setXattrs(requests);
}

function copyDirectory(
  from: string,
  to: string,
  relative: string,
  whiteouts: ReadonlySet<string>,
  links: LinkedCopies,
): void {
  for (const name of listNames(from)) {
    const path = relative === '' ? name : `${relative}/${name}`;
    if (whiteouts.has(path)) continue;
    const source = `${from}/${name}`;
    const destination = `${to}/${name}`;
    const facts = lstatSync(fsPath(source));
    const existing = lstatSync(fsPath(destination), { throwIfNoEntry: false });
    if (facts.isDirectory()) {
      if (existing?.isDirectory() !== true) {
        if (existing !== undefined) removeTree(destination);
        mkdirSync(fsPath(destination), { mode: 0o700 });
      }
      copyDirectory(source, destination, path, whiteouts, links);
      copyMetadata(destination, facts);
    } else {
      if (existing !== undefined) removeTree(destination);
      links.copy(source, destination, facts);
    }
  }
}
