import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { loadFileDescriptorSetFromBuffer, type PackageDefinition } from '@grpc/proto-loader';
import { findTool } from './tools.ts';

/** How gzip streams that Go programs carry begin: deflate, no name, no time. */
const GZIP = Buffer.from('1f8b080000000000', 'hex');
/** Far more than a definition takes: an end for what only looks like one. */
const MAX_BYTES = 1024 * 1024;

export interface PublishedCri {
  readonly v1: PackageDefinition;
  readonly v1alpha2: PackageDefinition;
}

/**
 * Reads CRI as Kubernetes publishes it: containerd carries both versions of `api.proto`, compiled, inside its program. Returns why it cannot
 * be had where it cannot.
 */
export function publishedCri(): PublishedCri | string {
  const program = findTool('containerd');
  if (program === undefined) return 'containerd is not installed';
  const all = readFileSync(program);
  const v1 = definitionIn(all, 'runtime.v1');
  const v1alpha2 = definitionIn(all, 'runtime.v1alpha2');
  if (v1 === undefined || v1alpha2 === undefined) return `${program} does not carry both versions of CRI`;
  return { v1, v1alpha2 };
}

/** Finds the compiled `api.proto` of a package. Fields 1 and 2 of a compiled definition are its name and its package. */
function definitionIn(program: Buffer, name: string): PackageDefinition | undefined {
  const beginning = Buffer.concat([field(1, Buffer.from('api.proto')), field(2, Buffer.from(name))]);
  for (let at = program.indexOf(GZIP); at !== -1; at = program.indexOf(GZIP, at + 1)) {
    const definition = unzipped(program.subarray(at, at + MAX_BYTES));
    if (definition?.subarray(0, beginning.length).equals(beginning) !== true) continue;
    // A set of definitions is a message whose field 1 is repeated.
    return loadFileDescriptorSetFromBuffer(field(1, definition), { longs: Number, keepCase: true });
  }
  return undefined;
}

/** Prints a field of a protobuf message whose value has a length. */
function field(number: number, value: Buffer): Buffer {
  const head = [(number << 3) | 2];
  let length = value.length;
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, length]), value]);
}

function unzipped(bytes: Buffer): Buffer | undefined {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_BYTES });
  } catch (error) {
    // Chance made these bytes look like the beginning of a stream.
    if (error instanceof Error && 'code' in error) return undefined;
    throw error;
  }
}
