import { isIP } from 'node:net';

import { forbiddenField, invalidValue, type FieldError } from '../field-error.ts';
import { objectAt, objectsAt, stringAt, type JsonObject } from '../json/json-object.ts';
import { validateImmutable } from './metadata.ts';
import { qualifiedNameFaults, subdomainFaults } from './name-rules.ts';

/** Conditions that a Pod has always had; others are named by who invented them. */
const OWN_CONDITIONS: ReadonlySet<string> = new Set(['PodScheduled', 'Ready', 'Initialized']);

/** Checks what a node says of a Pod. */
export function validatePodStatus(pod: JsonObject, old: JsonObject): FieldError[] {
  const status = objectAt(pod, 'status') ?? {};
  const before = objectAt(old, 'status') ?? {};
  const errors: FieldError[] = [];
  objectsAt(status, 'conditions').forEach((condition, index) => {
    const type = stringAt(condition, 'type');
    if (OWN_CONDITIONS.has(type)) return;
    // Upstream's path begins with metadata.
    const at = `metadata.conditions[${index}].Type`;
    for (const fault of qualifiedNameFaults(type)) errors.push(invalidValue(at, type, fault));
  });
  const nominated = stringAt(status, 'nominatedNodeName');
  if (nominated !== '' && nominated !== before['nominatedNodeName']) {
    for (const fault of subdomainFaults(nominated)) {
      errors.push(invalidValue('status.nominatedNodeName', nominated, fault));
    }
  }
  errors.push(...validateImmutable(status['qosClass'], before['qosClass'], 'status.qosClass'));
  errors.push(...validateTransitions(pod, old));
  objectsAt(status, 'podIPs').forEach(({ ip }, index) => {
    if (typeof ip === 'string' && isIP(ip) !== 0) return;
    const why = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
    errors.push(invalidValue(`status.podIPs[${index}]`, ip ?? '', why));
  });
  return errors;
}

/** A container that ended and is not to be started again cannot be told to run. */
function validateTransitions(pod: JsonObject, old: JsonObject): FieldError[] {
  const spec = objectAt(old, 'spec');
  const policy = stringAt(spec, 'restartPolicy');
  if (policy === 'Always') return [];
  const own = new Set(
    objectsAt(spec, 'containers')
      .filter((container) => container['restartPolicy'] !== undefined)
      .map(({ name }) => name),
  );
  const now = objectsAt(objectAt(pod, 'status'), 'containerStatuses');
  const errors: FieldError[] = [];
  for (const before of objectsAt(objectAt(old, 'status'), 'containerStatuses')) {
    const ended = objectAt(objectAt(before, 'state'), 'terminated');
    if (ended === undefined || own.has(before['name'])) continue;
    if (policy === 'OnFailure' && ended['exitCode'] !== 0) continue;
    const index = now.findIndex(({ name }) => name === before['name']);
    const state = index < 0 ? undefined : objectAt(now[index], 'state');
    if (index < 0 || objectAt(state, 'terminated') !== undefined) continue;
    const at = `status.containerStatuses[${index}].state`;
    errors.push(forbiddenField(at, 'may not be transitioned to non-terminated state'));
  }
  return errors;
}
