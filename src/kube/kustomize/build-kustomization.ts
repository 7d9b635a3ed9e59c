import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import { parseManifests } from '../decode/parse-manifests.ts';
import type { KubeObject } from '../object.ts';
import { findKind } from '../resources.ts';
import { generate, type Generated } from './generate.ts';
import { KustomizeError } from './kustomize-error.ts';
import { KUSTOMIZATION_FILES, parseKustomization, type Kustomization } from './kustomization.ts';
import { nameHash } from './name-hash.ts';
import { rewriteReferences } from './name-references.ts';
import { addAnnotations, addLabels, applyPatch, changeImages, changeReplicas } from './transform.ts';

/** A kustomization that names itself through others would never end. */
const MAX_DEPTH = 32;

/**
 * Builds a directory as `kubectl kustomize` does: resources, components, generators, patches, prefixes, labels, images,
 * and the names by which objects refer to one another. Only local files are read.
 *
 * @throws KustomizeError
 */
export async function buildKustomization(directory: string): Promise<KubeObject[]> {
  return (await build(resolve(directory), [], 0)).map((each) => each.object);
}

/** Tells whether a directory holds a kustomization. */
export async function hasKustomization(directory: string): Promise<boolean> {
  return (await findFile(directory)) !== undefined;
}

/** An object on its way, with every name that it ever had: others may still call it by an old one. */
interface Built {
  readonly object: KubeObject;
  readonly names: readonly string[];
}

async function build(directory: string, given: readonly Built[], depth: number): Promise<Built[]> {
  if (depth > MAX_DEPTH)
    throw new KustomizeError(
      'BAD_KUSTOMIZATION',
      `Cannot build ${JSON.stringify(directory)}: kustomizations lead to one another without end`,
    );
  const file = await findFile(directory);
  if (file === undefined) {
    throw new KustomizeError(
      'NOT_A_KUSTOMIZATION',
      `Cannot build ${JSON.stringify(directory)}: it holds none of ${KUSTOMIZATION_FILES.join(', ')}`,
    );
  }
  const kustomization = parseKustomization(await readText(file), file);
  let built: Built[] = [...given];
  for (const resource of kustomization.resources)
    built.push(...(await readResource(directory, resource, depth)));
  const generated: Generated[] = [];
  for (const each of kustomization.configMapGenerator)
    generated.push(await generate('ConfigMap', each, kustomization.generatorOptions, directory));
  for (const each of kustomization.secretGenerator)
    generated.push(await generate('Secret', each, kustomization.generatorOptions, directory));
  const suffixes = new Map(
    generated.filter((each) => each.hashed).map((each) => [each.object.metadata.name, each.object.kind]),
  );
  built.push(...generated.map((each) => fresh(each.object)));
  for (const component of kustomization.components)
    built = await build(join(directory, component), built, depth + 1);
  for (const [index, patch] of kustomization.patches.entries()) {
    const where = `patch ${index + 1} of ${JSON.stringify(file)}`;
    const text =
      patch.patch ?? (patch.path === undefined ? undefined : await readText(join(directory, patch.path)));
    if (text === undefined)
      throw new KustomizeError('BAD_KUSTOMIZATION', `Cannot apply ${where}: it has neither patch nor path`);
    const outcome = applyPatch(
      built.map((each) => each.object),
      text,
      patch.target,
      where,
    );
    built = built.flatMap((each, at) => {
      const object = outcome[at];
      return object === undefined ? [] : [{ object, names: each.names }];
    });
  }
  transform(
    built.map((each) => each.object),
    kustomization,
  );
  return rename(built, kustomization, (object) => suffixes.get(object.metadata.name) === object.kind);
}

function fresh(object: KubeObject): Built {
  return { object, names: [object.metadata.name] };
}

function transform(objects: readonly KubeObject[], kustomization: Kustomization): void {
  for (const object of objects) {
    if (kustomization.commonLabels !== undefined)
      addLabels(object, kustomization.commonLabels, { selectors: true, templates: true });
    for (const label of kustomization.labels) {
      if (label.pairs === undefined) continue;
      const selectors = label.includeSelectors === true;
      addLabels(object, label.pairs, { selectors, templates: selectors || label.includeTemplates === true });
    }
    if (kustomization.commonAnnotations !== undefined)
      addAnnotations(object, kustomization.commonAnnotations);
    changeImages(object, kustomization.images);
    changeReplicas(object, kustomization.replicas);
  }
}

/** Gives objects their namespace and final names, then lets the others know. */
function rename(
  built: readonly Built[],
  kustomization: Kustomization,
  isHashed: (object: KubeObject) => boolean,
): Built[] {
  const renamed = built.map(({ object, names }): Built => {
    const hashed = isHashed(object);
    const namespaced = findKind(object.apiVersion, object.kind)?.namespaced ?? true;
    if (kustomization.namespace !== undefined && namespaced)
      object.metadata.namespace = kustomization.namespace;
    const plain = object.kind === 'Namespace' || object.kind === 'CustomResourceDefinition';
    const name = plain
      ? object.metadata.name
      : `${kustomization.namePrefix ?? ''}${object.metadata.name}${kustomization.nameSuffix ?? ''}`;
    object.metadata.name = hashed ? `${name}-${nameHash(object)}` : name;
    return { object, names: [...names, object.metadata.name] };
  });
  const index = new Map<string, string>();
  const key = (kind: string, namespace: string | undefined, name: string): string =>
    `${kind} ${namespace ?? ''} ${name}`;
  for (const { object, names } of renamed)
    for (const name of names)
      index.set(key(object.kind, object.metadata.namespace, name), object.metadata.name);
  for (const { object } of renamed) {
    rewriteReferences(
      object,
      (kind, name) =>
        index.get(key(kind, object.metadata.namespace, name)) ?? index.get(key(kind, undefined, name)),
    );
  }
  return renamed;
}

async function readResource(directory: string, resource: string, depth: number): Promise<Built[]> {
  if (/^[a-z]+:\/\//i.test(resource) || /^[\w.-]+\.[a-z]+\/.*\?ref=/.test(resource)) {
    throw new KustomizeError(
      'UNSUPPORTED',
      `Cannot build ${JSON.stringify(directory)}: resource ${JSON.stringify(resource)} is remote; only local files are read`,
    );
  }
  const path = join(directory, resource);
  const found = await stat(path).catch((error: unknown) => {
    throw new KustomizeError(
      'NO_SUCH_FILE',
      `Cannot read ${JSON.stringify(path)}: ${isSystemError(error) ? error.code : 'failed'}`,
      { cause: error },
    );
  });
  return found.isDirectory()
    ? build(path, [], depth + 1)
    : readObjects(await readText(path), path).map(fresh);
}

function readObjects(text: string, path: string): KubeObject[] {
  try {
    return parseManifests(text);
  } catch (error) {
    throw new KustomizeError('BAD_KUSTOMIZATION', `Cannot use ${JSON.stringify(path)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function findFile(directory: string): Promise<string | undefined> {
  for (const name of KUSTOMIZATION_FILES) {
    const path = join(directory, name);
    try {
      if ((await stat(path)).isFile()) return path;
    } catch (error) {
      if (!isSystemError(error, 'ENOENT') && !isSystemError(error, 'ENOTDIR')) throw error;
    }
  }
  return undefined;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new KustomizeError(
      'NO_SUCH_FILE',
      `Cannot read ${JSON.stringify(path)}: ${isSystemError(error) ? error.code : 'failed'}`,
      { cause: error },
    );
  }
}
