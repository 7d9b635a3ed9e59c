import type { KubeObject } from '../object.ts';
import { findKind } from '../resources.ts';
import type { Built } from './built.ts';
import type { Kustomization } from './kustomization.ts';
import { nameHash } from './name-hash.ts';
import { rewriteReferences } from './name-references.ts';

/** Kinds whose names are not their own: others depend on them. */
const KEEPS_NAME: ReadonlySet<string> = new Set(['APIService', 'CustomResourceDefinition', 'Namespace']);

/** Gives objects the namespace and names of one layer, then lets the others know. */
export function rename(
  built: readonly Built[],
  { namespace, namePrefix = '', nameSuffix = '' }: Kustomization,
): Built[] {
  const renamed = built.map((each): Built => {
    const { object } = each;
    if (namespace !== undefined) moveTo(object, namespace);
    if (KEEPS_NAME.has(object.kind)) return named(each, object.metadata.name);
    return named(each, `${namePrefix}${object.metadata.name}${nameSuffix}`);
  });
  tellOthers(renamed);
  return renamed;
}

/** Gives generated objects their last suffix, when everything that changes their content has been done. */
export function addHashes(built: readonly Built[]): Built[] {
  const renamed = built.map((each) =>
    each.hashed ? named(each, `${each.object.metadata.name}-${nameHash(each.object)}`) : each,
  );
  tellOthers(renamed);
  return renamed;
}

function named(built: Built, name: string): Built {
  if (name === built.object.metadata.name) return built;
  built.object.metadata.name = name;
  return { ...built, names: [...built.names, name] };
}

function moveTo(object: KubeObject, namespace: string): void {
  if (object.kind === 'Namespace' && object.apiVersion === 'v1') object.metadata.name = namespace;
  else if (findKind(object.apiVersion, object.kind)?.namespaced ?? true)
    object.metadata.namespace = namespace;
  const { subjects } = object as KubeObject & { subjects?: unknown };
  if (!object.kind.endsWith('RoleBinding') || !Array.isArray(subjects)) return;
  for (const subject of subjects as Record<string, unknown>[]) {
    // Only this one is there without being among the objects.
    if (subject['kind'] === 'ServiceAccount' && subject['name'] === 'default')
      subject['namespace'] = namespace;
  }
}

function tellOthers(built: readonly Built[]): void {
  const index = new Map<string, KubeObject>();
  const key = (kind: string, namespace: string | undefined, name: string): string =>
    `${kind} ${namespace ?? ''} ${name}`;
  for (const { object, names } of built) {
    for (const name of names) index.set(key(object.kind, object.metadata.namespace, name), object);
  }
  for (const { object } of built) {
    rewriteReferences(object, (kind, name) => {
      const found =
        index.get(key(kind, object.metadata.namespace, name)) ?? index.get(key(kind, undefined, name));
      return found?.metadata;
    });
  }
}
