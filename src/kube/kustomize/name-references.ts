import type { KubeObject } from '../object.ts';

/** Returns the name that the object of this kind, once called `name`, has now; undefined when it is not among those built. */
export type CurrentName = (kind: string, name: string) => string | undefined;

type Json = unknown;

/**
 * Rewrites what objects say about one another after names changed: pull secrets, volumes, environment, service accounts,
 * claims, the service of a StatefulSet, and role bindings.
 */
export function rewriteReferences(object: KubeObject, currentName: CurrentName): void {
  const set = (holder: Json, field: string, kind: string): void => {
    if (!isRecord(holder) || !Object.hasOwn(holder, field)) return;
    const old = holder[field];
    const name = typeof old === 'string' ? currentName(kind, old) : undefined;
    if (name !== undefined) holder[field] = name;
  };

  if (object.kind === 'ServiceAccount') {
    const account = object as unknown as Record<string, Json>;
    for (const field of ['imagePullSecrets', 'secrets'])
      for (const each of items(account[field])) set(each, 'name', 'Secret');
  }
  if (object.kind === 'RoleBinding' || object.kind === 'ClusterRoleBinding') {
    const binding = object as unknown as Record<string, Json>;
    for (const subject of items(binding['subjects']))
      if (isRecord(subject) && subject['kind'] === 'ServiceAccount') set(subject, 'name', 'ServiceAccount');
    const role = binding['roleRef'];
    if (isRecord(role)) set(role, 'name', String(role['kind']));
  }
  if (object.kind === 'StatefulSet')
    set((object as unknown as Record<string, Json>)['spec'], 'serviceName', 'Service');
  visit(object, (holder) => {
    for (const each of items(holder['imagePullSecrets'])) set(each, 'name', 'Secret');
    set(holder, 'serviceAccountName', 'ServiceAccount');
    set(holder, 'serviceAccount', 'ServiceAccount');
    set(holder['secretKeyRef'], 'name', 'Secret');
    set(holder['secretRef'], 'name', 'Secret');
    set(holder['configMapKeyRef'], 'name', 'ConfigMap');
    set(holder['configMapRef'], 'name', 'ConfigMap');
    set(holder['configMap'], 'name', 'ConfigMap');
    set(holder['persistentVolumeClaim'], 'claimName', 'PersistentVolumeClaim');
    const secret = holder['secret'];
    if (isRecord(secret)) {
      set(secret, 'secretName', 'Secret');
      // Projected volumes call the same thing `name`.
      if (!Object.hasOwn(secret, 'secretName')) set(secret, 'name', 'Secret');
    }
  });
}

function visit(value: Json, see: (holder: Record<string, Json>) => void): void {
  if (Array.isArray(value)) {
    for (const each of value) visit(each, see);
  } else if (isRecord(value)) {
    see(value);
    for (const [name, each] of Object.entries(value))
      if (name !== 'metadata' && name !== 'data' && name !== 'stringData') visit(each, see);
  }
}

function items(value: Json): Json[] {
  return Array.isArray(value) ? value : [];
}

function isRecord(value: Json): value is Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
