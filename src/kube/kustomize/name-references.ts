import type { KubeObject } from '../object.ts';

/** Returns what the object of this kind, once called `name`, is called now; undefined when it is not among those built. */
export type CurrentName = (kind: string, name: string) => { name: string; namespace?: string } | undefined;

type Json = unknown;

/**
 * Rewrites what objects say about one another after names changed: pull secrets, volumes, environment, service accounts,
 * claims, classes, Services of StatefulSets and Ingresses, roles, their bindings, and what they are about.
 */
export function rewriteReferences(object: KubeObject, currentName: CurrentName): void {
  const set = (holder: Json, field: string, kind: string): void => {
    if (!isRecord(holder) || !Object.hasOwn(holder, field)) return;
    const old = holder[field];
    const now = typeof old === 'string' ? currentName(kind, old) : undefined;
    if (now !== undefined) holder[field] = now.name;
  };

  if (object.kind === 'ServiceAccount') {
    const account = object as unknown as Record<string, Json>;
    for (const field of ['imagePullSecrets', 'secrets'])
      for (const each of items(account[field])) set(each, 'name', 'Secret');
  }
  if (object.kind === 'RoleBinding' || object.kind === 'ClusterRoleBinding') {
    const binding = object as unknown as Record<string, Json>;
    for (const subject of items(binding['subjects'])) {
      if (!isRecord(subject) || subject['kind'] !== 'ServiceAccount') continue;
      const now = currentName('ServiceAccount', String(subject['name']));
      if (now === undefined) continue;
      subject['name'] = now.name;
      if (now.namespace !== undefined) subject['namespace'] = now.namespace;
    }
    const role = binding['roleRef'];
    if (isRecord(role)) set(role, 'name', String(role['kind']));
  }
  if (object.kind === 'Role' || object.kind === 'ClusterRole') {
    for (const rule of items((object as unknown as Record<string, Json>)['rules']))
      renameInRule(rule, currentName);
  }
  if (object.kind === 'Ingress') {
    visit(object, (holder) => {
      set(holder['service'], 'name', 'Service');
      for (const each of items(holder['tls'])) set(each, 'secretName', 'Secret');
      set(holder, 'ingressClassName', 'IngressClass');
    });
  }
  if (object.kind === 'PersistentVolumeClaim') {
    const claim = (object as unknown as Record<string, Json>)['spec'];
    set(claim, 'volumeName', 'PersistentVolume');
    set(claim, 'storageClassName', 'StorageClass');
  }
  if (object.kind === 'StatefulSet')
    set((object as unknown as Record<string, Json>)['spec'], 'serviceName', 'Service');
  visit(object, (holder) => {
    for (const each of items(holder['imagePullSecrets'])) set(each, 'name', 'Secret');
    set(holder, 'serviceAccountName', 'ServiceAccount');
    set(holder, 'serviceAccount', 'ServiceAccount');
    set(holder, 'priorityClassName', 'PriorityClass');
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

/** Resources that a rule can name objects of. */
const RESOURCE_KINDS: ReadonlyMap<string, string> = new Map([
  ['configmaps', 'ConfigMap'],
  ['secrets', 'Secret'],
  ['serviceaccounts', 'ServiceAccount'],
  ['services', 'Service'],
]);

function renameInRule(rule: Json, currentName: CurrentName): void {
  if (!isRecord(rule)) return;
  const names = items(rule['resourceNames']);
  const kinds = items(rule['resources']).flatMap((resource) => RESOURCE_KINDS.get(String(resource)) ?? []);
  names.forEach((name, index) => {
    for (const kind of kinds) {
      const now = currentName(kind, String(name));
      if (now !== undefined) names[index] = now.name;
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
