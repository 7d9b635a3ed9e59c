import type { Traced, TraceStep } from '../base/trace.ts';
import type { KubeObject } from '../kube/object.ts';
import type { PullPolicy } from '../kube/pod.ts';
import { DEFAULT_TAG, parseImageName, ReferenceError } from '../oci/reference.ts';
import { findPodSpec, mapImages, withPodSpec } from './pod-template.ts';

/** Says which pull policy an image gets that has none (rules 2.2, 2.3). */
export function pullPolicyOf(image: string): PullPolicy {
  return tagOf(image) === DEFAULT_TAG ? 'Always' : 'IfNotPresent';
}

/** Like {@link pullPolicyOf}, with the reason. */
export function explainPullPolicy(image: string): Traced<PullPolicy> {
  const tag = tagOf(image);
  if (tag === undefined)
    return traced('IfNotPresent', `"${image}" is no valid image name: the policy becomes IfNotPresent`);
  if (tag === DEFAULT_TAG)
    return traced('Always', `the tag of "${image}" is latest: the policy becomes Always`);
  return tag === ''
    ? traced('IfNotPresent', `"${image}" is pinned by digest: the policy becomes IfNotPresent`)
    : traced('IfNotPresent', `the tag of "${image}" is ${tag}: the policy becomes IfNotPresent`);
}

function traced(result: PullPolicy, says: string): Traced<PullPolicy> {
  return { result, trace: [{ rule: '2.2', says }] };
}

/** The tag that counts: `latest` without tag and digest, empty with a digest alone, undefined for what is no name. */
function tagOf(image: string): string | undefined {
  try {
    return parseImageName(image).tag;
  } catch (error) {
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}

/**
 * Fills in the pull policies that an object lacks: of containers, init containers, ephemeral containers and image volumes, in
 * a Pod and in everything with a Pod template (rules 2.1, 2.5). A policy that is set stays, whatever the image (2.4).
 */
export function defaultPullPolicies<T extends KubeObject>(object: T): Traced<T> {
  const found = findPodSpec(object);
  if (found === undefined) return { result: object, trace: [] };
  const trace: TraceStep[] = [];
  const fill = (given: PullPolicy | undefined, image: string, source: string, rule: string): PullPolicy => {
    // An empty string is what a client sends that means "not set".
    if (given !== undefined && (given as string) !== '') {
      trace.push({ rule: '2.4', says: `the policy is set to ${given} and stays`, source });
      return given;
    }
    const policy = explainPullPolicy(image);
    for (const step of policy.trace) trace.push({ rule, says: step.says, source });
    return policy.result;
  };
  const path = found.path.join('.');
  const spec = mapImages(
    found.spec,
    (container, kind, i) => ({
      ...container,
      imagePullPolicy: fill(container.imagePullPolicy, container.image ?? '', `${path}.${kind}[${i}]`, '2.2'),
    }),
    (image, i) => ({
      ...image,
      pullPolicy: fill(image.pullPolicy, image.reference ?? '', `${path}.volumes[${i}].image`, '2.5'),
    }),
  );
  return { result: withPodSpec(object, found.path, spec), trace };
}
