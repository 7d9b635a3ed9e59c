import { isDeepStrictEqual } from 'node:util';

import { goJson } from '../../base/go-json.ts';
import { forbiddenField, invalidValue, type FieldError } from '../field-error.ts';
import { objectAt, objectsAt, stringMapAt, type JsonObject } from '../json/json-object.ts';
import { qosClassOf } from '../strategy.ts';
import { internalPodSpec } from './internal-form.ts';
import { metadataOf } from './metadata.ts';
import { validateWhole } from './pod.ts';
import { unifiedDiff } from './unified-diff.ts';

const LISTS = ['initContainers', 'containers'] as const;

/** Checks a Pod whose containers are to have more or less than before: processor and memory may change, and nothing else. */
export function validatePodResize(pod: JsonObject, old: JsonObject): FieldError[] {
  if (stringMapAt(metadataOf(old), 'annotations')['kubernetes.io/config.mirror'] !== undefined) {
    return [forbiddenField('', 'static pods cannot be resized')];
  }
  const spec = objectAt(pod, 'spec') ?? {};
  const before = objectAt(old, 'spec') ?? {};
  const errors = validateWhole(pod);
  const level = qosClassOf(spec);
  if (level !== qosClassOf(before)) {
    errors.push(invalidValue('spec', level, 'Pod QOS Class may not change as a result of resizing'));
  }
  const munged = structuredClone(spec);
  for (const list of LISTS) {
    const olds = objectsAt(before, list);
    objectsAt(munged, list).forEach((container, index) => {
      const was = olds[index] ?? {};
      const path = `spec.${list}[${index}].resources`;
      errors.push(...takeBack(container, was, path));
    });
  }
  if (isDeepStrictEqual(munged, before)) return errors;
  const difference = unifiedDiff(goJson(internalPodSpec(before), 1), goJson(internalPodSpec(munged), 1));
  return [...errors, forbiddenField('spec', `only cpu and memory resources are mutable\n${difference}`)];
}

/** Takes over what a container had before of what may change; what went altogether is an error. */
function takeBack(container: JsonObject, was: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const resources = objectAt(container, 'resources') ?? {};
  const old = objectAt(was, 'resources') ?? {};
  for (const part of ['limits', 'requests'] as const) {
    const now = stringMapAt(resources, part);
    const then = stringMapAt(old, part);
    if (Object.keys(then).some((name) => now[name] === undefined)) {
      errors.push(forbiddenField(`${path}.${part}`, `resource ${part} cannot be removed`));
    }
    const { cpu: _cpu, memory: _memory, ...rest } = now;
    for (const name of ['cpu', 'memory']) if (then[name] !== undefined) rest[name] = then[name];
    if (Object.keys(rest).length === 0 && old[part] === undefined) delete resources[part];
    else resources[part] = Object.fromEntries(Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }
  if (was['resizePolicy'] === undefined) delete container['resizePolicy'];
  else container['resizePolicy'] = was['resizePolicy'];
  return errors;
}
