import type { ScalePaths } from '../kube/custom/custom-kind.ts';
import { findByPath, parseJsonPath } from '../kube/custom/json-path.ts';
import { setOwn } from '../kube/json/own-property.ts';
import type { KubeObject } from '../kube/object.ts';

/** Reads the scale of a custom object from where its definition says it keeps it. */
export function customScale(
  object: KubeObject,
  paths: ScalePaths,
): {
  kind: 'Scale';
  apiVersion: 'autoscaling/v1';
  spec: { replicas?: number };
  status: { replicas: number; selector?: string };
} {
  const replicas = valueAt(object, paths.specReplicasPath);
  const current = valueAt(object, paths.statusReplicasPath);
  const selector =
    paths.labelSelectorPath === undefined ? undefined : valueAt(object, paths.labelSelectorPath);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    spec: typeof replicas === 'number' ? { replicas } : {},
    status: {
      replicas: typeof current === 'number' ? current : 0,
      ...(typeof selector === 'string' && selector !== '' ? { selector } : {}),
    },
  };
}

/** Sets, in place, the value at a path of plain fields. */
export function setAt(object: KubeObject, path: string, value: unknown): void {
  const names = path.split('.').slice(1);
  const last = names.pop();
  if (last === undefined) return;
  let at = object as unknown as Record<string, unknown>;
  for (const name of names) {
    const next = Object.hasOwn(at, name) ? at[name] : undefined;
    if (typeof next === 'object' && next !== null) at = next as Record<string, unknown>;
    else {
      const made: Record<string, unknown> = {};
      setOwn(at, name, made);
      at = made;
    }
  }
  setOwn(at, last, value);
}

function valueAt(object: KubeObject, path: string): unknown {
  return findByPath(object, parseJsonPath(path) ?? [])[0];
}
