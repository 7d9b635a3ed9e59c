import { goQuote } from '../base/go-quote.ts';
import type { Pod } from '../kube/pod.ts';
import { forbidden } from '../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission-chain.ts';
import { nodeNameOf } from './user-info.ts';

const MIRROR = 'kubernetes.io/config.mirror';

/** Narrows what a node may write to its own Node object, the Pods bound to it and its mirror Pods. */
export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  admit: (request) => {
    const node = nodeNameOf(request.user);
    if (node === undefined || request.resource.group !== '') return;
    if (request.resource.resource === 'nodes') restrictNode(request, node);
    if (request.resource.resource === 'pods') restrictPod(request, node);
  },
};

function restrictNode(request: AdmissionRequest, node: string): void {
  const name = request.name === '' ? request.object?.metadata.name : request.name;
  if (name === node) return;
  throw forbidden(
    request.resource,
    request.name,
    `node ${goQuote(node)} is not allowed to modify node ${goQuote(name ?? '')}`,
  );
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
    return;
  }
  if (request.operation === 'DELETE' && old?.spec.nodeName !== node) {
    throw refuse(`node ${quoted} can only delete pods with spec.nodeName set to itself`);
  }
}
