import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { setDefault, setDefaultText } from './_set-default.ts';
import type { DefaultOptions } from './default-options.ts';
import { setSourceDefaults } from './volume-defaults.ts';

/** Octal 0644: the mode of files in secret, config map and projected volumes. */
const FILE_MODE = 0o644;

/** Life of a projected service account token, in seconds. */
const TOKEN_SECONDS = 3600;

const CONTAINER_LISTS = ['initContainers', 'containers', 'ephemeralContainers'] as const;

/** Fills in a Pod description: of a Pod itself or of a workload's template. */
export function setPodSpecDefaults(spec: JsonObject, options: DefaultOptions): void {
  setDefaultText(spec, 'dnsPolicy', 'ClusterFirst');
  setDefaultText(spec, 'restartPolicy', 'Always');
  setDefault(spec, 'terminationGracePeriodSeconds', 30);
  setDefault(spec, 'securityContext', {});
  setDefaultText(spec, 'schedulerName', 'default-scheduler');
  copyServiceAccount(spec);
  for (const volume of objectsAt(spec, 'volumes')) setVolumeDefaults(volume, options);
  for (const list of CONTAINER_LISTS) {
    for (const container of objectsAt(spec, list)) {
      setContainerDefaults(container, options);
      if (spec['hostNetwork'] === true) setHostPorts(container);
    }
  }
}

/** Fills in what only a Pod gets, not a template: requests follow limits, service links are on. */
export function setPodOnlyDefaults(spec: JsonObject): void {
  setDefault(spec, 'enableServiceLinks', true);
  for (const list of ['initContainers', 'containers'] as const) {
    for (const container of objectsAt(spec, list)) requestLimits(container);
  }
}

/** `serviceAccount` is the old name of `serviceAccountName`; the API always shows both. */
function copyServiceAccount(spec: JsonObject): void {
  const name = stringAt(spec, 'serviceAccountName') || stringAt(spec, 'serviceAccount');
  if (name === '') return;
  spec['serviceAccountName'] = name;
  spec['serviceAccount'] = name;
}

function setContainerDefaults(container: JsonObject, options: DefaultOptions): void {
  setDefaultText(container, 'terminationMessagePath', '/dev/termination-log');
  setDefaultText(container, 'terminationMessagePolicy', 'File');
  setDefaultText(container, 'imagePullPolicy', options.pullPolicyOf(stringAt(container, 'image')));
  for (const port of objectsAt(container, 'ports')) setDefaultText(port, 'protocol', 'TCP');
  for (const env of objectsAt(container, 'env')) {
    const fieldRef = objectAt(objectAt(env, 'valueFrom'), 'fieldRef');
    if (fieldRef !== undefined) setDefaultText(fieldRef, 'apiVersion', 'v1');
    const fileKey = objectAt(objectAt(env, 'valueFrom'), 'fileKeyRef');
    if (fileKey !== undefined) setDefault(fileKey, 'optional', false);
  }
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = objectAt(container, name);
    if (probe !== undefined) setProbeDefaults(probe);
  }
  for (const name of ['postStart', 'preStop']) {
    const httpGet = objectAt(objectAt(objectAt(container, 'lifecycle'), name), 'httpGet');
    if (httpGet !== undefined) setHttpGetDefaults(httpGet);
  }
}

function setProbeDefaults(probe: JsonObject): void {
  for (const [key, value] of [
    ['timeoutSeconds', 1],
    ['periodSeconds', 10],
    ['successThreshold', 1],
    ['failureThreshold', 3],
  ] as const) {
    if ((numberAt(probe, key) ?? 0) === 0) probe[key] = value;
  }
  const httpGet = objectAt(probe, 'httpGet');
  if (httpGet !== undefined) setHttpGetDefaults(httpGet);
  const grpc = objectAt(probe, 'grpc');
  if (grpc !== undefined) setDefault(grpc, 'service', '');
}

function setHttpGetDefaults(httpGet: JsonObject): void {
  setDefaultText(httpGet, 'path', '/');
  setDefaultText(httpGet, 'scheme', 'HTTP');
}

function setHostPorts(container: JsonObject): void {
  for (const port of objectsAt(container, 'ports')) {
    if ((numberAt(port, 'hostPort') ?? 0) === 0) port['hostPort'] = port['containerPort'];
  }
}

function requestLimits(container: JsonObject): void {
  const resources = objectAt(container, 'resources');
  const limits = objectAt(resources, 'limits');
  if (resources === undefined || limits === undefined) return;
  const requests = objectAt(resources, 'requests') ?? {};
  for (const [name, limit] of Object.entries(limits)) requests[name] ??= limit;
  resources['requests'] = requests;
}

function setVolumeDefaults(volume: JsonObject, options: DefaultOptions): void {
  if (Object.keys(volume).every((key) => key === 'name')) volume['emptyDir'] = {};
  for (const name of ['secret', 'configMap', 'downwardAPI', 'projected']) {
    const source = objectAt(volume, name);
    if (source !== undefined) setDefault(source, 'defaultMode', FILE_MODE);
  }
  setDownwardDefaults(objectAt(volume, 'downwardAPI'));
  for (const source of objectsAt(objectAt(volume, 'projected'), 'sources')) {
    const token = objectAt(source, 'serviceAccountToken');
    if (token !== undefined) setDefault(token, 'expirationSeconds', TOKEN_SECONDS);
    setDownwardDefaults(objectAt(source, 'downwardAPI'));
  }
  setSourceDefaults(volume);
  const image = objectAt(volume, 'image');
  if (image !== undefined) {
    setDefaultText(image, 'pullPolicy', options.pullPolicyOf(stringAt(image, 'reference')));
  }
  const claim = objectAt(objectAt(objectAt(volume, 'ephemeral'), 'volumeClaimTemplate'), 'spec');
  if (claim !== undefined) setDefault(claim, 'volumeMode', 'Filesystem');
}

function setDownwardDefaults(source: JsonObject | undefined): void {
  for (const item of objectsAt(source, 'items')) {
    const fieldRef = objectAt(item, 'fieldRef');
    if (fieldRef !== undefined) setDefaultText(fieldRef, 'apiVersion', 'v1');
  }
}
