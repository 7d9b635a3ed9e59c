import { parse } from 'yaml';
import type { KubeObject } from '../object.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import { applyStrategicMergePatch } from '../patch/strategic-merge-patch.ts';
import { findKind, parseApiVersion } from '../resources.ts';
import type { Built } from './built.ts';
import { KustomizeError } from './kustomize-error.ts';
import type { Kustomization, Target } from './kustomization.ts';
import { isSelected } from './select-objects.ts';

type Labels = Readonly<Record<string, string>>;
type Fields = Record<string, unknown>;

/** Where an image name stands, wherever a list of containers does (and in image volumes). */
const CONTAINER_LISTS = ['containers', 'initContainers', 'ephemeralContainers'];

/** Sets labels on metadata and, when asked, on selectors and Pod templates. */
export function addLabels(
  object: KubeObject,
  labels: Labels,
  where: { selectors: boolean; templates: boolean },
): void {
  object.metadata.labels = { ...object.metadata.labels, ...labels };
  const spec = fieldsOf(object, 'spec');
  if (spec === undefined) return;
  const cronTemplate = fieldsOf(fieldsOf(spec, 'jobTemplate'), 'spec');
  if (where.templates) {
    for (const template of [
      fieldsOf(spec, 'template'),
      fieldsOf(spec, 'jobTemplate'),
      fieldsOf(cronTemplate, 'template'),
    ])
      mergeMetadata(template, 'labels', labels);
    for (const claim of listOf(spec, 'volumeClaimTemplates')) mergeMetadata(claim, 'labels', labels);
  }
  if (!where.selectors) return;
  const selector = fieldsOf(spec, 'selector');
  if (object.kind === 'Service' || object.kind === 'ReplicationController') {
    spec['selector'] = { ...selector, ...labels };
  } else if (['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet'].includes(object.kind)) {
    spec['selector'] = {
      ...selector,
      matchLabels: { ...(selector === undefined ? {} : fieldsOf(selector, 'matchLabels')), ...labels },
    };
  }
}

/** Sets annotations on metadata and Pod templates. */
export function addAnnotations(object: KubeObject, annotations: Labels): void {
  object.metadata.annotations = { ...object.metadata.annotations, ...annotations };
  const spec = fieldsOf(object, 'spec');
  const cronTemplate = fieldsOf(fieldsOf(spec, 'jobTemplate'), 'spec');
  for (const template of [
    fieldsOf(spec, 'template'),
    fieldsOf(spec, 'jobTemplate'),
    fieldsOf(cronTemplate, 'template'),
  ])
    mergeMetadata(template, 'annotations', annotations);
}

/** Renames images: the part before tag and digest must equal `name`. */
export function changeImages(object: KubeObject, images: Kustomization['images']): void {
  visit(object, (holder) => {
    for (const list of CONTAINER_LISTS) {
      for (const container of listOf(holder, list))
        if (typeof container['image'] === 'string') container['image'] = changed(container['image'], images);
    }
    for (const volume of listOf(holder, 'volumes')) {
      const image = fieldsOf(volume, 'image');
      if (typeof image?.['reference'] === 'string') image['reference'] = changed(image['reference'], images);
    }
  });
}

function changed(image: string, images: Kustomization['images']): string {
  const parts = /^(.*?)(?::([^/:@]+))?(?:@(.+))?$/.exec(image);
  const name = parts?.[1] ?? image;
  const change = images.find((each) => each.name === name);
  if (change === undefined) return image;
  const newName = change.newName ?? name;
  const tag = change.newTag ?? (change.digest === undefined ? parts?.[2] : undefined);
  const digest = change.digest ?? (change.newTag === undefined ? parts?.[3] : undefined);
  return `${newName}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** Sets the number of replicas of the objects named. */
export function changeReplicas({ object, names }: Built, replicas: Kustomization['replicas']): void {
  const change = replicas.find(({ name }) => names.includes(name));
  const spec = fieldsOf(object, 'spec');
  if (
    change !== undefined &&
    spec !== undefined &&
    ['Deployment', 'ReplicaSet', 'StatefulSet', 'ReplicationController'].includes(object.kind)
  )
    spec['replicas'] = change.count;
}

/**
 * Applies one patch, JSON or strategic merge, to the objects it is for; `$patch: delete` removes them.
 *
 * @throws KustomizeError `BAD_KUSTOMIZATION` when it names an object that is not there
 */
export function applyPatch(
  built: readonly Built[],
  text: string,
  target: Target | undefined,
  where: string,
): Built[] {
  const patch: unknown = parse(text);
  if (Array.isArray(patch)) {
    if (target === undefined)
      throw new KustomizeError('BAD_KUSTOMIZATION', `Cannot apply ${where}: a JSON patch needs a target`);
    return patchWhere(
      built,
      (each) => isSelected(each, target),
      (object) => applyJsonPatch(object, patch) as KubeObject,
    );
  }
  if (typeof patch !== 'object' || patch === null)
    throw new KustomizeError('BAD_KUSTOMIZATION', `Cannot apply ${where}: it is no object and no list`);
  const wanted = patch as Partial<KubeObject>;
  const mine = (each: Built): boolean =>
    target === undefined
      ? each.object.kind === wanted.kind &&
        each.names.includes(wanted.metadata?.name ?? '') &&
        parseApiVersion(each.object.apiVersion).group === parseApiVersion(wanted.apiVersion ?? '').group
      : isSelected(each, target);
  if (target === undefined && !built.some(mine))
    throw new KustomizeError('BAD_KUSTOMIZATION', `Cannot apply ${where}: no object matches it`);
  return patchWhere(built, mine, (object) => {
    const { group, version } = parseApiVersion(object.apiVersion);
    if (Object.hasOwn(patch, '$patch') && (patch as Fields)['$patch'] === 'delete') return undefined;
    // The patch finds its object by any name that it had, and does not change the one that it has.
    const content = { ...patch, metadata: { ...wanted.metadata, name: object.metadata.name } };
    const known = findKind(object.apiVersion, object.kind) !== undefined;
    if (!known)
      throw new KustomizeError(
        'UNSUPPORTED',
        `Cannot apply ${where}: the merge keys of ${object.apiVersion} ${object.kind} are not known; use a JSON patch`,
      );
    return applyStrategicMergePatch(object, content, { group, version, kind: object.kind }) as KubeObject;
  });
}

function patchWhere(
  built: readonly Built[],
  mine: (each: Built) => boolean,
  apply: (object: KubeObject) => KubeObject | undefined,
): Built[] {
  return built.flatMap((each) => {
    if (!mine(each)) return [each];
    const object = apply(each.object);
    return object === undefined ? [] : [{ ...each, object }];
  });
}

function mergeMetadata(holder: Fields | undefined, field: 'labels' | 'annotations', values: Labels): void {
  if (holder === undefined) return;
  const metadata = fieldsOf(holder, 'metadata') ?? {};
  holder['metadata'] = { ...metadata, [field]: { ...fieldsOf(metadata, field), ...values } };
}

function visit(value: unknown, see: (holder: Fields) => void): void {
  if (Array.isArray(value)) {
    for (const each of value) visit(each, see);
  } else if (typeof value === 'object' && value !== null) {
    see(value as Fields);
    for (const each of Object.values(value)) visit(each, see);
  }
}

function fieldsOf(holder: object | undefined, name: string): Fields | undefined {
  const value = holder !== undefined && Object.hasOwn(holder, name) ? (holder as Fields)[name] : undefined;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function listOf(holder: Fields, name: string): Fields[] {
  const value = Object.hasOwn(holder, name) ? holder[name] : undefined;
  return Array.isArray(value)
    ? value.filter((each): each is Fields => typeof each === 'object' && each !== null)
    : [];
}
