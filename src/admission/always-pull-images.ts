import { notSupported } from '../kube/field-error.ts';
import type { KubeObject } from '../kube/object.ts';
import type { Pod, PodSpec } from '../kube/pod.ts';
import {
  forbiddenMessage,
  notAPod,
  pass,
  type AdmissionRequest,
  type TracedOutcome,
} from './admission-review.ts';
import { containersOf, mapImages } from './pod-template.ts';

/*
 * AlwaysPullImages (rules 2.9 to 2.13): every Pod must authenticate for its images at each start, so that nobody uses what
 * another tenant pulled. Off by default.
 */

/** Sets every pull policy of a Pod, image volumes included, to Always (rule 2.10). */
export function mutateAlwaysPullImages(request: AdmissionRequest): TracedOutcome {
  if (!concernsPods(request)) return pass(request);
  if (!isPod(request.object)) return notAPod();
  if (keepsItsImages(request)) return unchanged(request);
  const pod = request.object;
  const spec = mapImages(
    pod.spec,
    (container) => ({ ...container, imagePullPolicy: 'Always' }),
    (image) => ({ ...image, pullPolicy: 'Always' }),
  );
  const changed: Pod = { ...pod, spec };
  return {
    result: { allowed: true, object: changed },
    trace: [{ rule: '2.10', says: 'AlwaysPullImages sets every pull policy to Always' }],
  };
}

/** Refuses a Pod with any other pull policy than Always, all violations in one message (rule 2.11). */
export function validateAlwaysPullImages(request: AdmissionRequest): TracedOutcome {
  if (!concernsPods(request)) return pass(request);
  if (!isPod(request.object)) return notAPod();
  if (keepsItsImages(request)) return unchanged(request);
  const violations = violationsOf(request.object.spec).map((why) => forbiddenMessage(request, why));
  if (violations.length === 0) return pass(request, [{ rule: '2.11', says: 'every pull policy is Always' }]);
  const distinct = [...new Set(violations)];
  const message = distinct.length === 1 ? (distinct[0] ?? '') : `[${distinct.join(', ')}]`;
  return {
    result: { allowed: false, reason: 'Forbidden', message },
    trace: [{ rule: '2.11', says: message }],
  };
}

function violationsOf(spec: PodSpec): string[] {
  const found: string[] = [];
  const check = (field: string, policy: string | undefined): void => {
    if (policy !== 'Always') found.push(`${field}: ${notSupported(field, policy ?? '', ['Always']).message}`);
  };
  for (const { kind, index, container } of containersOf(spec))
    check(`spec.${kind}[${index}].imagePullPolicy`, container.imagePullPolicy);
  for (const [index, volume] of (spec.volumes ?? []).entries()) {
    if (volume.image !== undefined) check(`spec.volumes[${index}].image.pullPolicy`, volume.image.pullPolicy);
  }
  return found;
}

/** Creation and update of Pods themselves; subresources are not looked at (rule 2.9). */
function concernsPods({ operation, resource, subresource = '' }: AdmissionRequest): boolean {
  return resource === 'pods' && subresource === '' && (operation === 'CREATE' || operation === 'UPDATE');
}

/** An update that brings no new image changes nothing, whatever the policies are (rule 2.12). */
function keepsItsImages({ operation, object, oldObject }: AdmissionRequest): boolean {
  if (operation !== 'UPDATE' || !isPod(object) || oldObject === undefined || !isPod(oldObject)) return false;
  const known = new Set(containersOf(oldObject.spec).map(({ container }) => container.image ?? ''));
  return containersOf(object.spec).every(({ container }) => known.has(container.image ?? ''));
}

function unchanged(request: AdmissionRequest): TracedOutcome {
  return pass(request, [{ rule: '2.12', says: 'the update brings no new image: policies stay' }]);
}

function isPod(object: KubeObject): object is Pod {
  const spec: unknown = 'spec' in object ? object.spec : undefined;
  return object.kind === 'Pod' && typeof spec === 'object' && spec !== null;
}
