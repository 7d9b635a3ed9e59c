import { readFile, readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { CodedError, messageOf } from '../base/coded-error.ts';
import { fileProblem } from '../base/file-problem.ts';
import { parseManifests } from '../kube/decode/parse-manifests.ts';
import { buildKustomization, hasKustomization } from '../kube/kustomize/build-kustomization.ts';
import type { KubeObject } from '../kube/object.ts';

export class ManifestFileError extends CodedError<'UNREADABLE' | 'BAD_MANIFEST'> {}

/** File names in a directory that hold manifests, as kubectl takes them. */
const MANIFEST_FILES: ReadonlySet<string> = new Set(['.yaml', '.yml', '.json']);

/**
 * Reads the objects that `-f` and `-k` name: files, directories, `-` for standard input, a kustomization.
 *
 * @throws ManifestFileError that names the file, and KustomizeError
 */
export async function readManifestArguments(
  files: readonly string[],
  kustomization: string | undefined,
): Promise<KubeObject[]> {
  const objects = kustomization === undefined ? [] : await buildKustomization(kustomization);
  for (const file of files) objects.push(...(await readArgument(file)));
  return objects;
}

async function readArgument(file: string): Promise<KubeObject[]> {
  if (file === '-') return parse(await readStandardInput(), 'standard input');
  const found = await stat(file).catch((error: unknown) => {
    throw unreadable(file, error);
  });
  if (!found.isDirectory()) return parse(await readText(file), JSON.stringify(file));
  if (await hasKustomization(file)) return buildKustomization(file);
  const names = (await readdir(file)).filter((name) => MANIFEST_FILES.has(extname(name))).sort();
  const objects: KubeObject[] = [];
  for (const name of names) objects.push(...(await readArgument(join(file, name))));
  return objects;
}

function parse(text: string, where: string): KubeObject[] {
  try {
    return parseManifests(text);
  } catch (error) {
    throw new ManifestFileError('BAD_MANIFEST', `Cannot use ${where}: ${messageOf(error)}`, { cause: error });
  }
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(file, error);
  });
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function unreadable(file: string, error: unknown): ManifestFileError {
  return new ManifestFileError('UNREADABLE', `Cannot read ${JSON.stringify(file)}: ${fileProblem(error)}`, {
    cause: error,
  });
}
