import { goQuote } from '../base/go-quote.ts';
import type { Pod } from '../kube/pod.ts';
import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '../kube/object.ts';
import { forbidden, notFound } from '../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission-chain.ts';
import type { ObjectStore } from './object-store.ts';
import { nodeNameOf } from './user-info.ts';

const MIRROR = 'kubernetes.io/config.mirror';

/** Labels that a node may not give itself: workloads are kept off nodes by them. */
const RESERVED_LABELS = 'node-restriction.kubernetes.io';

/** Narrows what a node may write to its own Node object, the Pods bound to it, its mirror Pods and their tokens. */
export function nodeRestriction(store: ObjectStore): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    admit: (request) => {
      const node = nodeNameOf(request.user);
      if (node === undefined || request.resource.group !== '') return;
      switch (request.resource.resource) {
        case 'nodes':
          restrictNode(request, node);
          break;
        case 'pods':
          restrictPod(request, node);
          break;
        case 'serviceaccounts':
          if (request.subresource === 'token') restrictToken(store, request, node);
          break;
        default:
      }
    },
  };
}

interface Node extends KubeObject {
  readonly spec?: { readonly taints?: readonly object[] };
}

function restrictNode(request: AdmissionRequest, node: string): void {
  const refuse = (why: string): Error => forbidden(request.resource, request.name, why);
  const quoted = goQuote(node);
  const name = request.name === '' ? request.object?.metadata.name : request.name;
  if (name !== node) throw refuse(`node ${quoted} is not allowed to modify node ${goQuote(name ?? '')}`);
  const object: Node | undefined = request.object;
  if (object === undefined) return;
  const old: Node | undefined = request.oldObject;
  const labels = reservedLabels(object.metadata.labels ?? {}, old?.metadata.labels ?? {});
  if (old === undefined) {
    if (labels !== '') throw refuse(`node ${quoted} is not allowed to set the following labels: ${labels}`);
    return;
  }
  if (request.subresource === '' && !isDeepStrictEqual(object.spec?.taints ?? [], old.spec?.taints ?? [])) {
    throw refuse(`node ${quoted} is not allowed to modify taints`);
  }
  if (labels !== '') throw refuse(`node ${quoted} is not allowed to modify labels: ${labels}`);
  if (!isDeepStrictEqual(object.metadata.ownerReferences ?? [], old.metadata.ownerReferences ?? [])) {
    throw refuse(`node ${quoted} is not allowed to modify ownerReferences`);
  }
}

/** Lists the reserved labels that differ. */
function reservedLabels(
  now: Readonly<Record<string, string>>,
  before: Readonly<Record<string, string>>,
): string {
  const isReserved = (key: string): boolean => {
    const prefix = key.split('/')[0] ?? '';
    return key.includes('/') && (prefix === RESERVED_LABELS || prefix.endsWith(`.${RESERVED_LABELS}`));
  };
  return [...new Set([...Object.keys(now), ...Object.keys(before)])]
    .filter((key) => isReserved(key) && now[key] !== before[key])
    .toSorted()
    .join(', ');
}

interface TokenRequest extends KubeObject {
  readonly spec?: {
    readonly boundObjectRef?: {
      readonly apiVersion?: string;
      readonly kind?: string;
      readonly name?: string;
      readonly uid?: string;
    };
  };
}

/** A node acts for the accounts of its Pods, as long as those Pods live. */
function restrictToken(store: ObjectStore, request: AdmissionRequest, node: string): void {
  const refuse = (why: string): Error =>
    forbidden({ group: '', resource: 'serviceaccounts' }, request.name, why);
  const review: TokenRequest | undefined = request.object;
  const { apiVersion, kind, name = '', uid = '' } = review?.spec?.boundObjectRef ?? {};
  if (apiVersion !== 'v1' || kind !== 'Pod' || name === '') {
    throw refuse('node requested token not bound to a pod');
  }
  if (uid === '') throw refuse('node requested token with a pod binding without a uid');
  const found = store.get({ resource: 'pods', namespace: request.namespace, name })?.object as
    | Pod
    | undefined;
  if (found === undefined) throw notFound({ group: '', resource: 'pods' }, name);
  if (found.metadata.uid !== uid) {
    throw refuse(
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (found.spec.nodeName !== node) {
    throw refuse('node requested token bound to a pod scheduled on a different node');
  }
}

function restrictPod(request: AdmissionRequest, node: string): void {
  const refuse = (why: string): Error => forbidden(request.resource, request.name, why);
  const quoted = goQuote(node);
  const old = request.oldObject as Pod | undefined;
  if (request.subresource === 'status') {
    if (old?.spec.nodeName !== node) {
      throw refuse(`node ${quoted} can only update pod status for pods with spec.nodeName set to itself`);
    }
    return;
  }
  if (request.subresource !== '') return;
  if (request.operation === 'CREATE') {
    const pod = request.object as Pod;
    if (!Object.hasOwn(pod.metadata.annotations ?? {}, MIRROR)) {
      throw refuse(
        `pod does not have ${goQuote(MIRROR)} annotation, node ${quoted} can only create mirror pods`,
      );
    }
    if (pod.spec.nodeName !== node) {
      throw refuse(`node ${quoted} can only create pods with spec.nodeName set to itself`);
    }
    const borrowed = referenceIn(pod);
    if (borrowed !== undefined) throw refuse(`node ${quoted} can not create pods that reference ${borrowed}`);
    return;
  }
  if (request.operation === 'DELETE' && old?.spec.nodeName !== node) {
    throw refuse(`node ${quoted} can only delete pods with spec.nodeName set to itself`);
  }
}

/** A mirror Pod stands for what the node runs from a file: it may not open anything of its namespace for the node. */
function referenceIn({ spec }: Pod): string | undefined {
  if ((spec.serviceAccountName ?? '') !== '') return 'a service account';
  const text = JSON.stringify(spec);
  if (/"(?:secretKeyRef|secretRef|imagePullSecrets|secretName)":/.test(text)) return 'secrets';
  if ((spec.volumes ?? []).some((volume) => 'secret' in volume)) return 'secrets';
  if (/"(?:configMapKeyRef|configMapRef)":/.test(text)) return 'configmaps';
  if ((spec.volumes ?? []).some((volume) => 'configMap' in volume)) return 'configmaps';
  if ((spec.volumes ?? []).some((volume) => 'persistentVolumeClaim' in volume))
    return 'persistentvolumeclaims';
  return undefined;
}
