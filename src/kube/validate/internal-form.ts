import { objectAt, type JsonObject } from '../json/json-object.ts';
import { isObject } from '../json/own-property.ts';
import { fieldOrderOf } from '../schema/field-order.ts';
import {
  structOf,
  type FieldSchema,
  type Scalar,
  type StructSchema,
  type TypeSchema,
} from '../schema/schema.ts';

/*
 * Some error texts show a value as the API server holds it inside: every field, in the order of its Go struct, under
 * its Go name, absent ones as null. These orders are those of Kubernetes 1.36; structs that are not listed have the
 * order of the wire.
 */
const ORDERS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    'core.v1.PodSpec':
      'volumes initContainers containers ephemeralContainers restartPolicy terminationGracePeriodSeconds ' +
      'activeDeadlineSeconds dnsPolicy nodeSelector serviceAccountName automountServiceAccountToken nodeName ' +
      'securityContext imagePullSecrets hostname subdomain setHostnameAsFQDN affinity schedulerName tolerations ' +
      'hostAliases priorityClassName priority preemptionPolicy dnsConfig readinessGates runtimeClassName overhead ' +
      'enableServiceLinks topologySpreadConstraints os schedulingGates resourceClaims resources hostnameOverride ' +
      'schedulingGroup',
    'core.v1.PodSecurityContext':
      'seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot supplementalGroups ' +
      'supplementalGroupsPolicy fsGroup fsGroupChangePolicy sysctls seccompProfile appArmorProfile seLinuxChangePolicy',
    'core.v1.Container':
      'name image command args workingDir ports envFrom env resources resizePolicy restartPolicy ' +
      'restartPolicyRules volumeMounts volumeDevices livenessProbe readinessProbe startupProbe lifecycle ' +
      'terminationMessagePath terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty',
    'core.v1.ResourceRequirements': 'limits requests claims',
    'core.v1.ContainerPort': 'name hostPort containerPort protocol hostIP',
    'core.v1.EnvVar': 'name value valueFrom',
    'core.v1.EnvVarSource': 'fieldRef resourceFieldRef configMapKeyRef secretKeyRef fileKeyRef',
    'core.v1.ObjectFieldSelector': 'apiVersion fieldPath',
    'core.v1.ResourceFieldSelector': 'containerName resource divisor',
    'core.v1.ConfigMapKeySelector': 'name key optional',
    'core.v1.SecretKeySelector': 'name key optional',
    'core.v1.EnvFromSource': 'prefix configMapRef secretRef',
    'core.v1.VolumeMount': 'name readOnly recursiveReadOnly mountPath subPath mountPropagation subPathExpr',
    'core.v1.VolumeDevice': 'name devicePath',
    'core.v1.Probe':
      'exec httpGet tcpSocket grpc initialDelaySeconds timeoutSeconds periodSeconds successThreshold ' +
      'failureThreshold terminationGracePeriodSeconds',
    'core.v1.Lifecycle': 'postStart preStop stopSignal',
    'core.v1.LifecycleHandler': 'exec httpGet tcpSocket sleep',
    'core.v1.HTTPGetAction': 'path port host scheme httpHeaders',
    'core.v1.TCPSocketAction': 'port host',
    'core.v1.SecurityContext':
      'capabilities privileged seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot ' +
      'readOnlyRootFilesystem allowPrivilegeEscalation procMount seccompProfile appArmorProfile',
    'core.v1.SeccompProfile': 'type localhostProfile',
    'core.v1.Volume':
      'name hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi glusterfs ' +
      'persistentVolumeClaim rbd quobyte flexVolume cinder cephfs flocker downwardAPI fc azureFile configMap ' +
      'vsphereVolume azureDisk photonPersistentDisk projected portworxVolume scaleIO storageos csi ephemeral image',
    'core.v1.HostPathVolumeSource': 'path type',
    'core.v1.SecretVolumeSource': 'secretName items defaultMode optional',
    'core.v1.ConfigMapVolumeSource': 'name items defaultMode optional',
    'core.v1.KeyToPath': 'key path mode',
    'core.v1.DownwardAPIVolumeSource': 'items defaultMode',
    'core.v1.DownwardAPIVolumeFile': 'path fieldRef resourceFieldRef mode',
    'core.v1.ProjectedVolumeSource': 'sources defaultMode',
    'core.v1.VolumeProjection':
      'secret downwardAPI configMap serviceAccountToken clusterTrustBundle podCertificate',
    'core.v1.SecretProjection': 'name items optional',
    'core.v1.ConfigMapProjection': 'name items optional',
    'core.v1.PersistentVolumeClaimSpec':
      'accessModes selector resources volumeName storageClassName volumeMode dataSource dataSourceRef ' +
      'volumeAttributesClassName',
    'core.v1.VolumeResourceRequirements': 'limits requests',
    'core.v1.TypedLocalObjectReference': 'apiGroup kind name',
    'core.v1.TypedObjectReference': 'apiGroup kind name namespace',
    'core.v1.ObjectReference': 'kind namespace name uid apiVersion resourceVersion fieldPath',
    'policy.v1.PodDisruptionBudgetSpec': 'minAvailable selector maxUnavailable unhealthyPodEvictionPolicy',
    'core.v1.PodResourceClaim': 'name resourceClaimName resourceClaimTemplateName',
    'core.v1.Capabilities': 'add drop',
    'core.v1.ImageVolumeSource': 'reference pullPolicy',
    'core.v1.Toleration': 'key operator value effect tolerationSeconds',
    'core.v1.NodeAffinity':
      'requiredDuringSchedulingIgnoredDuringExecution preferredDuringSchedulingIgnoredDuringExecution',
    'core.v1.NodeSelectorRequirement': 'key operator values',
    'core.v1.PreferredSchedulingTerm': 'weight preference',
  }).map(([name, order]) => [name, order.split(' ')]),
);

/** Fields that are null inside when they are absent, though others of their type are zero. */
const POINTERS: ReadonlySet<string> = new Set([
  'apps.v1.RollingUpdateStatefulSetStrategy.maxUnavailable',
  'core.v1.EmptyDirVolumeSource.sizeLimit',
  'policy.v1.PodDisruptionBudgetSpec.minAvailable',
  'policy.v1.PodDisruptionBudgetSpec.maxUnavailable',
]);

/** Go names that are not simply the field's name with a capital letter. */
const GO_NAMES: Readonly<Record<string, string | undefined>> = {
  dnsPolicy: 'DNSPolicy',
  dnsConfig: 'DNSConfig',
  os: 'OS',
  tty: 'TTY',
  httpGet: 'HTTPGet',
  httpHeaders: 'HTTPHeaders',
  tcpSocket: 'TCPSocket',
  grpc: 'GRPC',
  apiVersion: 'APIVersion',
  apiGroup: 'APIGroup',
  seLinuxOptions: 'SELinuxOptions',
  seLinuxChangePolicy: 'SELinuxChangePolicy',
  fsGroup: 'FSGroup',
  fsGroupChangePolicy: 'FSGroupChangePolicy',
  hostPID: 'HostPID',
  hostIPC: 'HostIPC',
  gcePersistentDisk: 'GCEPersistentDisk',
  awsElasticBlockStore: 'AWSElasticBlockStore',
  nfs: 'NFS',
  iscsi: 'ISCSI',
  rbd: 'RBD',
  cephfs: 'CephFS',
  fc: 'FC',
  csi: 'CSI',
  storageos: 'StorageOS',
  ip: 'IP',
};

/** Fields that the server keeps with the Pod's security context. */
const HOST_FIELDS = [
  ['hostNetwork', false],
  ['hostPID', false],
  ['hostIPC', false],
  ['shareProcessNamespace', null],
  ['hostUsers', null],
] as const;

/** Returns a Pod description as the API server holds it. */
export function internalPodSpec(spec: JsonObject): JsonObject {
  const form = internalStruct(spec, structOf('core.v1.PodSpec'));
  const security = objectAt(spec, 'securityContext');
  if (security !== undefined) {
    const host = HOST_FIELDS.map(([name, zero]) => [goName(name), spec[name] ?? zero]);
    form['SecurityContext'] = { ...Object.fromEntries(host), ...objectAt(form, 'SecurityContext') };
  }
  return form;
}

/** Returns a Pod template as the API server holds it: its metadata keeps the names of the wire. */
export function internalPodTemplate(template: JsonObject): JsonObject {
  return {
    ...objectAt(template, 'metadata'),
    Spec: internalPodSpec(objectAt(template, 'spec') ?? {}),
  };
}

/** Returns a claim's wishes as the API server holds them. */
export function internalClaimSpec(spec: JsonObject): JsonObject {
  return internalForm(spec, 'core.v1.PersistentVolumeClaimSpec');
}

/** Where a volume can be, in the order of the server's own struct. */
const VOLUME_PLACES =
  'gcePersistentDisk awsElasticBlockStore hostPath glusterfs nfs rbd quobyte iscsi flexVolume cinder cephfs fc ' +
  'flocker azureFile vsphereVolume azureDisk photonPersistentDisk portworxVolume scaleIO local storageos csi';

/** Returns where a PersistentVolume is, as the API server holds it. */
export function internalVolumePlace(spec: JsonObject): JsonObject {
  const { fields } = structOf('core.v1.PersistentVolumeSpec');
  const entries = VOLUME_PLACES.split(' ').flatMap((name): [string, unknown][] => {
    const field = fields.get(name);
    return field === undefined ? [] : [[goName(name), internalField(spec[name], field)]];
  });
  return Object.fromEntries(entries);
}

/** Returns the value of a struct as the API server holds it. */
export function internalForm(value: JsonObject, struct: string): JsonObject {
  return internalStruct(value, structOf(struct));
}

function internalStruct(value: JsonObject, struct: StructSchema): JsonObject {
  // Types of the meta group are the same inside and on the wire.
  if (struct.name.startsWith('meta.')) return value;
  const form: JsonObject = {};
  for (const name of orderOf(struct)) {
    const field = struct.fields.get(name);
    if (field === undefined) continue;
    const isPointer = POINTERS.has(`${struct.name}.${name}`) && value[name] === undefined;
    form[goName(name)] = isPointer ? null : internalField(value[name], field);
  }
  return form;
}

function orderOf(struct: StructSchema): readonly string[] {
  if (struct.name !== 'core.v1.EphemeralContainer') return ORDERS.get(struct.name) ?? fieldOrderOf(struct);
  return [...(ORDERS.get('core.v1.Container') ?? []), 'targetContainerName'];
}

function internalField(value: unknown, field: FieldSchema): unknown {
  if (value !== undefined && value !== null) return internalValue(value, field.type);
  const { type } = field;
  if (type.is === 'scalar') return type.nullable ? null : zeroOf(type.scalar);
  if (type.is === 'struct' && field.zeroDefault) return internalStruct({}, structOf(type.name));
  return null;
}

function internalValue(value: unknown, type: TypeSchema): unknown {
  if (type.is === 'struct' && isObject(value)) return internalStruct(value, structOf(type.name));
  if (type.is === 'list' && Array.isArray(value)) return value.map((item) => internalValue(item, type.items));
  return value;
}

function zeroOf(scalar: Scalar): unknown {
  switch (scalar) {
    case 's':
      return '';
    case 'b':
      return false;
    case 'i32':
    case 'i64':
    case 'f64':
    case 'intstr':
      return 0;
    case 'quantity':
      return '0';
    case 'bytes':
    case 'time':
    case 'microtime':
    case 'raw':
    case 'fields':
      return null;
  }
}

function goName(name: string): string {
  return GO_NAMES[name] ?? name.slice(0, 1).toUpperCase() + name.slice(1);
}
