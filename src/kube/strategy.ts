import { isDeepStrictEqual } from 'node:util';

import { keepOfRequest } from './certificates/prepare-request.ts';
import { inheritLabels } from './default/workload-defaults.ts';
import { numberAt, objectAt, objectsAt, stringAt, type JsonObject } from './json/json-object.ts';
import type { KubeObject } from './object.ts';
import { quantityValue } from './quantity.ts';
import type { ResourceInfo } from './resources.ts';
import { findKindStruct } from './schema/schema.ts';
import { convertStruct } from './decode/convert-value.ts';

/** Kinds that count generations: those whose controllers report what they have seen. */
const COUNTS_GENERATION: ReadonlySet<string> = new Set([
  'Pod',
  'ReplicationController',
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'CronJob',
  'CustomResourceDefinition',
  'PodDisruptionBudget',
  'Ingress',
  'IngressClass',
  'NetworkPolicy',
  'PriorityClass',
  'EndpointSlice',
  'ValidatingWebhookConfiguration',
  'MutatingWebhookConfiguration',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
  'MutatingAdmissionPolicy',
  'MutatingAdmissionPolicyBinding',
]);

/** Kinds without a spec: what their author asks for is everything but metadata. */
const FLAT: ReadonlySet<string> = new Set([
  'PriorityClass',
  'EndpointSlice',
  'ValidatingWebhookConfiguration',
  'MutatingWebhookConfiguration',
]);

const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

/**
 * Does in place what the API does before validation on create: drops status, sets generation where the kind
 * counts one, makes the first status (Namespace Active, Pod Pending with its QoS class), merges a Secret's
 * stringData, generates a Job's selector from its uid.
 * Sets no name, uid, times or resourceVersion: the caller does so first.
 */
export function prepareForCreate(object: KubeObject, resource: ResourceInfo): void {
  const json = object as unknown as JsonObject;
  if (resource.custom !== undefined) {
    if (hasStatus(resource)) delete json['status'];
    object.metadata.generation = 1;
    return;
  }
  completeForCreate(object, resource);
  if (hasStatus(resource)) resetStatus(json, resource);
  if (COUNTS_GENERATION.has(resource.kind)) object.metadata.generation = 1;
  else delete object.metadata.generation;
  switch (resource.kind) {
    case 'Pod':
      json['status'] = {
        phase: 'Pending',
        ...gatedConditions(objectAt(json, 'spec')),
        qosClass: qosClassOf(objectAt(json, 'spec')),
      };
      break;
    case 'Namespace':
      json['status'] = { phase: 'Active' };
      addKubernetesFinalizer(json);
      break;
    case 'PersistentVolumeClaim':
      json['status'] = { phase: 'Pending' };
      break;
    case 'PersistentVolume':
      json['status'] = {
        phase: 'Pending',
        lastPhaseTransitionTime: object.metadata.creationTimestamp ?? null,
      };
      break;
    case 'CustomResourceDefinition':
      prepareDefinition(json);
      break;
    case 'StatefulSet':
      dropMaxUnavailable(json);
      break;
    case 'APIService':
      json['status'] = { conditions: [availability(json)] };
      break;
    case 'Job':
      generateJobSelector(json, object.metadata.uid ?? '');
      break;
    default:
  }
}

/** Does in place what counts as the author's own doing: merges a Secret's stringData, begins a DaemonSet's count. */
export function completeForCreate(object: KubeObject, resource: ResourceInfo): void {
  if (resource.custom !== undefined) return;
  mergeStringData(object as unknown as JsonObject);
  if (resource.kind === 'DaemonSet') {
    object.metadata.annotations = { ...object.metadata.annotations, [TEMPLATE_GENERATION]: '1' };
  }
}

/**
 * Does in place what the API does before validation on update: keeps status (main path) or everything
 * but status (`status` path), counts generation up when the spec changed, keeps the metadata that a client cannot change.
 */
export function prepareForUpdate(
  object: KubeObject,
  old: KubeObject,
  resource: ResourceInfo,
  subresource?: string,
): void {
  const json = object as unknown as JsonObject;
  const before = old as unknown as JsonObject;
  if (resource.custom === undefined) mergeStringData(json);
  keepServerMetadata(object, old);
  if (resource.kind === 'CertificateSigningRequest' && resource.custom === undefined) {
    keepOfRequest(json, before, subresource);
    return;
  }
  if (subresource === 'status') {
    keepAllBut(json, before, 'status');
    if (resource.kind === 'Deployment') keepLabels(object, old);
  } else if (hasStatus(resource) && subresource !== 'binding') {
    // A binding is the server's own change: it sets the condition PodScheduled with the node's name.
    setOrDelete(json, 'status', before['status']);
  }
  if (resource.custom !== undefined) {
    const changed = !isDeepStrictEqual(wish(json, resource), wish(before, resource));
    object.metadata.generation = (old.metadata.generation ?? 1) + (changed ? 1 : 0);
    return;
  }
  if (resource.kind === 'Pod') preparePod(json, before, subresource);
  if (resource.kind === 'StatefulSet') dropMaxUnavailable(json, before);
  if (resource.kind === 'Namespace' && subresource !== 'finalize' && subresource !== 'status') {
    setOrDelete(json, 'spec', before['spec']);
  }
  if (!COUNTS_GENERATION.has(resource.kind)) return;
  // Being placed on a node is no wish of the author's, so it does not count.
  const of = (side: JsonObject): unknown => (FLAT.has(resource.kind) ? wish(side, resource) : side['spec']);
  const changed =
    (subresource !== 'binding' && !isDeepStrictEqual(of(json), of(before))) ||
    (resource.kind === 'Deployment' && hasOtherAnnotations(object, old));
  object.metadata.generation = (old.metadata.generation ?? 0) + (changed ? 1 : 0);
}

/** A Deployment's annotations go to its replica sets, so a change of theirs is one that its controller has to see. */
function hasOtherAnnotations(object: KubeObject, old: KubeObject): boolean {
  return !isDeepStrictEqual({ ...object.metadata.annotations }, { ...old.metadata.annotations });
}

/** Does in place what belongs to nobody who writes: a DaemonSet counts the changes of its template. */
export function finishUpdate(object: KubeObject, old: KubeObject, resource: ResourceInfo): void {
  if (resource.kind !== 'DaemonSet' || resource.custom !== undefined) return;
  countTemplateGeneration(object, old, object as unknown as JsonObject, old as unknown as JsonObject);
}

/** What of a custom object its author asks for: all but metadata, and status where that has a path of its own. */
function wish(object: JsonObject, resource: ResourceInfo): JsonObject {
  const { metadata: _metadata, ...rest } = object;
  if (hasStatus(resource)) delete rest['status'];
  return rest;
}

/** A Node's and a Namespace's whole object may carry status on create; here they may not either, except Node's. */
function hasStatus(resource: ResourceInfo): boolean {
  return resource.subresources.some(({ name }) => name === 'status');
}

function resetStatus(object: JsonObject, resource: ResourceInfo): void {
  // Nodes register themselves with their first status in one request.
  if (resource.kind === 'Node') return;
  const struct = findKindStruct(resource.group, resource.version, resource.kind);
  const empty = struct === undefined ? {} : convertStruct({}, struct, { unknown: [] });
  setOrDelete(object, 'status', empty['status']);
}

/** A definition goes only after its objects; what versions were ever stored is remembered from the start. */
function prepareDefinition(object: JsonObject): void {
  const metadata = objectAt(object, 'metadata') ?? {};
  const finalizers = Array.isArray(metadata['finalizers']) ? (metadata['finalizers'] as unknown[]) : [];
  const own = 'customresourcecleanup.apiextensions.k8s.io';
  metadata['finalizers'] = finalizers.includes(own) ? finalizers : [...finalizers, own];
  const stored = objectsAt(objectAt(object, 'spec'), 'versions').find(
    (version) => version['storage'] === true,
  );
  object['status'] = {
    acceptedNames: { kind: '', plural: '' },
    conditions: null,
    storedVersions: stored === undefined ? [] : [stored['name']],
  };
}

/** What this server serves itself is always there; what another one would serve is not asked for. */
function availability(apiService: JsonObject): JsonObject {
  const isLocal = objectAt(objectAt(apiService, 'spec'), 'service') === undefined;
  return {
    type: 'Available',
    status: isLocal ? 'True' : 'False',
    lastTransitionTime: objectAt(apiService, 'metadata')?.['creationTimestamp'],
    reason: isLocal ? 'Local' : 'FailedDiscoveryCheck',
    message: isLocal
      ? 'Local APIServices are always available'
      : 'API servers of others are not asked: their APIs are not served here',
  };
}

function mergeStringData(object: JsonObject): void {
  const added = objectAt(object, 'stringData');
  if (added === undefined) return;
  delete object['stringData'];
  const data = objectAt(object, 'data') ?? {};
  for (const [key, text] of Object.entries(added)) {
    Object.defineProperty(data, key, {
      value: Buffer.from(String(text)).toString('base64'),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  object['data'] = data;
}

function addKubernetesFinalizer(object: JsonObject): void {
  const spec = objectAt(object, 'spec') ?? {};
  const finalizers = Array.isArray(spec['finalizers']) ? (spec['finalizers'] as unknown[]) : [];
  spec['finalizers'] = finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'];
  object['spec'] = spec;
}

/** What a client may leave out of an update without meaning to remove it, or change without effect. */
function keepServerMetadata(object: KubeObject, old: KubeObject): void {
  const from = old.metadata;
  const to = object.metadata;
  const keep = (key: keyof KubeObject['metadata']): void => {
    setOrDelete(to as unknown as JsonObject, key, from[key]);
  };
  keep('generation');
  if (from.deletionTimestamp !== undefined) keep('deletionTimestamp');
  if (to.deletionGracePeriodSeconds === undefined) keep('deletionGracePeriodSeconds');
  if (to.uid === undefined) keep('uid');
  if (from.creationTimestamp !== undefined) keep('creationTimestamp');
  if (to.namespace === undefined) keep('namespace');
}

function keepAllBut(object: JsonObject, old: JsonObject, part: string): void {
  for (const key of new Set([...Object.keys(object), ...Object.keys(old)])) {
    if (key !== part && key !== 'metadata' && key !== 'apiVersion' && key !== 'kind') {
      setOrDelete(object, key, old[key]);
    }
  }
  // Labels and annotations may come with a status; references to owners may not.
  const metadata = objectAt(object, 'metadata');
  if (metadata !== undefined) {
    setOrDelete(metadata, 'ownerReferences', objectAt(old, 'metadata')?.['ownerReferences']);
  }
}

/** With a Deployment's status come no labels. */
function keepLabels(object: KubeObject, old: KubeObject): void {
  setOrDelete(object.metadata as unknown as JsonObject, 'labels', old.metadata.labels);
}

/** A share of a StatefulSet's Pods that may be away at once is not part of the API unless it was kept from before. */
function dropMaxUnavailable(object: JsonObject, old?: JsonObject): void {
  const rollingOf = (set: JsonObject | undefined): JsonObject | undefined =>
    objectAt(objectAt(objectAt(set, 'spec'), 'updateStrategy'), 'rollingUpdate');
  if (rollingOf(old)?.['maxUnavailable'] === undefined) delete rollingOf(object)?.['maxUnavailable'];
}

function preparePod(object: JsonObject, old: JsonObject, subresource: string | undefined): void {
  if (subresource === 'ephemeralcontainers') {
    const added = objectAt(object, 'spec')?.['ephemeralContainers'];
    object['spec'] = structuredClone(objectAt(old, 'spec') ?? {});
    setOrDelete(object['spec'] as JsonObject, 'ephemeralContainers', added);
    setOrDelete(object, 'status', old['status']);
  }
  if (subresource === 'resize') keepAllButResources(object, old);
  const status = objectAt(object, 'status');
  if (status !== undefined && (subresource !== 'status' || stringAt(status, 'qosClass') === '')) {
    const qosClass = objectAt(old, 'status')?.['qosClass'] ?? qosClassOf(objectAt(object, 'spec'));
    // The status may be the stored one, which others read too.
    object['status'] = { ...status, qosClass };
  }
}

/** Of what a resize sends only the containers' resources are taken. */
function keepAllButResources(object: JsonObject, old: JsonObject): void {
  const sent = objectAt(object, 'spec');
  const spec = structuredClone(objectAt(old, 'spec') ?? {});
  for (const list of ['initContainers', 'containers']) {
    const wanted = new Map(objectsAt(sent, list).map((container) => [container['name'], container]));
    for (const container of objectsAt(spec, list)) {
      const same = wanted.get(container['name']);
      if (same === undefined) continue;
      setOrDelete(container, 'resources', same['resources']);
      setOrDelete(container, 'resizePolicy', same['resizePolicy']);
    }
  }
  object['spec'] = spec;
  setOrDelete(object, 'status', structuredClone(old['status']));
}

function countTemplateGeneration(
  object: KubeObject,
  old: KubeObject,
  json: JsonObject,
  before: JsonObject,
): void {
  const count = Number(old.metadata.annotations?.[TEMPLATE_GENERATION] ?? '0');
  const changed = !isDeepStrictEqual(
    objectAt(json, 'spec')?.['template'],
    objectAt(before, 'spec')?.['template'],
  );
  object.metadata.annotations = {
    ...object.metadata.annotations,
    [TEMPLATE_GENERATION]: String(changed ? count + 1 : count),
  };
}

/** A Job finds its Pods by its own uid, unless its author insists on a selector. */
function generateJobSelector(object: JsonObject, uid: string): void {
  const spec = objectAt(object, 'spec');
  const template = objectAt(spec, 'template');
  const name = objectAt(object, 'metadata')?.['name'];
  if (spec === undefined || template === undefined) return;
  if (spec['manualSelector'] === true) return;
  const metadata = objectAt(template, 'metadata') ?? {};
  template['metadata'] = metadata;
  // What the author put there stays, and validation refuses it.
  const labels: JsonObject = {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
    ...objectAt(metadata, 'labels'),
  };
  metadata['labels'] = labels;
  const selector = objectAt(spec, 'selector') ?? {};
  const matchLabels = { 'batch.kubernetes.io/controller-uid': uid, ...objectAt(selector, 'matchLabels') };
  spec['selector'] = { ...selector, matchLabels };
  inheritLabels(object, labels);
}

/** A Pod with scheduling gates says from the start that no scheduler looks at it yet. */
function gatedConditions(spec: JsonObject | undefined): JsonObject {
  if (objectsAt(spec, 'schedulingGates').length === 0) return {};
  const condition = {
    type: 'PodScheduled',
    status: 'False',
    lastProbeTime: null,
    lastTransitionTime: null,
    reason: 'SchedulingGated',
    message: 'Scheduling is blocked due to non-empty scheduling gates',
  };
  return { conditions: [condition] };
}

/** Tells how well a Pod is provided for: `Guaranteed`, `Burstable` or `BestEffort`. */
export function qosClassOf(spec: JsonObject | undefined): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const containers = [...objectsAt(spec, 'initContainers'), ...objectsAt(spec, 'containers')];
  let anything = false;
  let guaranteed = containers.length > 0;
  for (const container of containers) {
    const resources = objectAt(container, 'resources');
    const requests = positive(objectAt(resources, 'requests'));
    const limits = positive(objectAt(resources, 'limits'));
    if (requests.size > 0 || limits.size > 0) anything = true;
    for (const name of ['cpu', 'memory']) {
      const limit = limits.get(name);
      if (limit === undefined || (requests.get(name) ?? limit) !== limit) guaranteed = false;
    }
  }
  if (!anything) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function positive(list: JsonObject | undefined): Map<string, number> {
  const amounts = new Map<string, number>();
  for (const name of ['cpu', 'memory']) {
    const given = list?.[name];
    const amount = typeof given === 'string' ? quantityValue(given) : numberAt(list, name);
    if (amount !== undefined && amount > 0) amounts.set(name, amount);
  }
  return amounts;
}

function setOrDelete(target: JsonObject, key: string, value: unknown): void {
  if (value === undefined) delete target[key];
  else target[key] = value;
}
