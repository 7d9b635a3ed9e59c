import { notSupported, required, type FieldError } from '../kube/field-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod } from '../kube/pod.ts';
import { findResource } from '../kube/resources.ts';
import {
  badRequest,
  conflict,
  methodNotAllowed,
  plainError,
  success,
  unknownResource,
} from '../kube/status.ts';
import { formatTime } from '../kube/time.ts';
import { decodeBody } from './decode-body.ts';
import { asServed, fitNamespace, mustGet, type Answer, type ApiCall } from './api-call.ts';
import { evictPod } from './pod-eviction.ts';
import { writeOptions } from './request-options.ts';
import type { RouterContext } from './router-context.ts';
import { answerScale } from './scale.ts';
import { createToken } from './token-request.ts';
import { changeObject, patchStored, updateObject } from './write-objects.ts';

/** Answers requests for a part of an object. Log, exec and their kin are streams and handled elsewhere. */
export async function answerSubresource(context: RouterContext, call: ApiCall): Promise<Answer> {
  const { request, resource } = call;
  const isTopBinding = resource.kind === 'Binding';
  const info = isTopBinding
    ? { verbs: ['create'] }
    : resource.subresources.find((candidate) => candidate.name === request.subresource);
  if (info === undefined) throw unknownResource();
  if (!info.verbs.includes(request.verb)) throw methodNotAllowed();
  if (isTopBinding) return bindPod(context, call);
  switch (request.subresource) {
    case 'approval':
    case 'status':
    case 'ephemeralcontainers':
    case 'resize':
    case 'finalize':
      if (request.verb === 'get') {
        return { code: 200, value: asServed(resource, mustGet(context, call).object) };
      }
      return request.verb === 'patch' ? patchStored(context, call) : updateObject(context, call);
    case 'scale':
      return answerScale(context, call);
    case 'binding':
      return bindPod(context, call);
    case 'eviction':
      return evictPod(context, call);
    case 'token':
      return createToken(context, call);
    default:
      throw unknownResource();
  }
}

interface Binding extends KubeObject {
  target?: { kind?: string; name?: string };
}

async function bindPod(context: RouterContext, call: ApiCall): Promise<Answer> {
  const options = writeOptions(call.request.query, 'CreateOptions');
  const body = await call.body();
  const { object: binding, warnings } = decodeBody<Binding>(
    body,
    { group: '', version: 'v1', kind: 'Binding' },
    options.fieldValidation,
  );
  call.warnings.push(...warnings);
  fitNamespace(call, binding);
  if (call.request.name !== '' && call.request.name !== binding.metadata.name) {
    throw badRequest('name in URL does not match name in Binding object');
  }
  const { kind = '', name: node = '' } = binding.target ?? {};
  checkTarget(kind, node);
  const pods = findResource('', 'v1', 'pods') ?? call.resource;
  const { name } = binding.metadata;
  const request = { ...call.request, resource: 'pods', name, subresource: 'binding' };
  const podCall: ApiCall = { ...call, resource: pods, request };
  const assign = (current: KubeObject): KubeObject => {
    const pod = current as Pod;
    const refuse = (why: string): Error => conflict({ group: '', resource: 'pods/binding' }, name, why);
    if (pod.metadata.deletionTimestamp !== undefined) {
      throw refuse(`pod ${name} is being deleted, cannot be assigned to a host`);
    }
    const bound = pod.spec.nodeName ?? '';
    if (bound !== '') throw refuse(`pod ${name} is already assigned to node "${bound}"`);
    const { schedulingGates } = pod.spec as { schedulingGates?: readonly unknown[] };
    if ((schedulingGates ?? []).length > 0) throw refuse(`pod ${name} has non-empty .spec.schedulingGates`);
    pod.spec.nodeName = node;
    // A place that was promised is of no more interest.
    delete pod.status?.nominatedNodeName;
    setScheduled(pod, formatTime(context.clock.now()));
    const { annotations } = binding.metadata;
    if (annotations !== undefined) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations };
    return pod;
  };
  // What a binding sets is nobody's: managedFields stay as they are.
  await changeObject(context, podCall, options, (copy) => assign(copy()), true);
  return { code: 201, value: success(201) };
}

/** @throws StatusError 500: upstream gives what is wrong with a target no reason */
function checkTarget(kind: string, node: string): void {
  const errors: FieldError[] = [];
  if (kind !== '' && kind !== 'Node') errors.push(notSupported('target.kind', kind, ['Node', '<empty>']));
  if (node === '') errors.push(required('target.name'));
  const texts = errors.map(({ field, message }) => `${field}: ${message}`);
  if (texts.length > 0) throw plainError(texts.length === 1 ? texts.join('') : `[${texts.join(', ')}]`);
}

function setScheduled(pod: Pod, now: string): void {
  const status = (pod.status ??= {});
  const others = (status.conditions ?? []).filter((condition) => condition.type !== 'PodScheduled');
  const generation = pod.metadata.generation;
  status.conditions = [
    ...others,
    {
      type: 'PodScheduled',
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: now,
    },
  ];
}
