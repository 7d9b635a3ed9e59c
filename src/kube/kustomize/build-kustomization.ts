import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { isSystemError, messageOf } from '../../base/coded-error.ts';
import { parseManifests } from '../decode/parse-manifests.ts';
import type { KubeObject } from '../object.ts';
import { fresh, type Built } from './built.ts';
import { generate, onTopOf, type Generated } from './generate.ts';
import { KustomizeError } from './kustomize-error.ts';
import {
  KUSTOMIZATION_FILES,
  parseKustomization,
  type Generator,
  type Kustomization,
  type Replacement,
} from './kustomization.ts';
import { inApplyOrder } from './object-order.ts';
import { addHashes, rename } from './rename.ts';
import { replaceValues } from './replace-values.ts';
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
  const layer = await build(resolve(directory), [], 0);
  const objects = addHashes(layer.built).map((each) => each.object);
  return layer.keepsOrder ? objects : inApplyOrder(objects);
}

/** Tells whether a directory holds a kustomization. */
export async function hasKustomization(directory: string): Promise<boolean> {
  return (await findFile(directory)) !== undefined;
}

interface Layer {
  readonly built: Built[];
  readonly keepsOrder: boolean;
}

async function build(directory: string, given: readonly Built[], depth: number): Promise<Layer> {
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
  for (const [kind, generators] of [
    ['ConfigMap', kustomization.configMapGenerator],
    ['Secret', kustomization.secretGenerator],
  ] as const) {
    for (const each of generators) {
      const made = await generate(kind, each, kustomization.generatorOptions, directory);
      built = withGenerated(built, made, each, file);
    }
  }
  for (const component of kustomization.components) {
    ({ built } = await build(join(directory, component), built, depth + 1));
  }
  for (const [index, patch] of kustomization.patches.entries()) {
    const where = `patch ${index + 1} of ${JSON.stringify(file)}`;
    const text =
      patch.patch ?? (patch.path === undefined ? undefined : await readText(join(directory, patch.path)));
    if (text === undefined)
      throw new KustomizeError('BAD_KUSTOMIZATION', `Cannot apply ${where}: it has neither patch nor path`);
    built = applyPatch(built, text, patch.target, where);
  }
  transform(
    built.map((each) => each.object),
    kustomization,
  );
  for (const each of built) changeReplicas(each, kustomization.replicas);
  built = rename(built, kustomization);
  for (const [index, each] of kustomization.replacements.entries()) {
    const where = `replacement ${index + 1} of ${JSON.stringify(file)}`;
    const all = each.path === undefined ? [each] : await readReplacements(join(directory, each.path));
    for (const one of all) replaceValues(built, one, where);
  }
  return { built, keepsOrder: kustomization.sortOptions?.order === 'fifo' };
}

/** Adds what a generator made, or puts it in the place of what others made under the same name. */
function withGenerated(
  built: readonly Built[],
  made: Generated,
  generator: Generator,
  file: string,
): Built[] {
  const { behavior = 'create', name } = generator;
  const at = built.findIndex(
    (each) =>
      each.object.kind === made.object.kind &&
      each.names.includes(name) &&
      (generator.namespace === undefined || generator.namespace === each.object.metadata.namespace),
  );
  const old = built[at];
  const refuse = (why: string): never => {
    throw new KustomizeError(
      'BAD_KUSTOMIZATION',
      `Cannot generate ${JSON.stringify(name)} of ${JSON.stringify(file)}: ${why}`,
    );
  };
  if (behavior === 'create') {
    if (old !== undefined) refuse('it is there already; behavior merge or replace changes it');
    return [...built, fresh(made.object, made.hashed)];
  }
  if (behavior !== 'merge' && behavior !== 'replace') {
    refuse(`behavior ${JSON.stringify(behavior)} is none of create, merge, replace`);
  }
  if (old === undefined) return refuse(`there is nothing to ${behavior}`);
  const object = onTopOf(old.object, made.object, behavior === 'merge');
  return built.with(at, { ...old, object, hashed: made.hashed });
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
  }
}

async function readReplacements(path: string): Promise<Replacement[]> {
  const value: unknown = parse(await readText(path), { maxAliasCount: 100 });
  return (Array.isArray(value) ? value : [value]) as Replacement[];
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
  if (found.isDirectory()) return (await build(path, [], depth + 1)).built;
  return readObjects(await readText(path), path).map((object) => fresh(object));
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
