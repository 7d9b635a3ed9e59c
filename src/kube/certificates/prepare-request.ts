import { objectAt, objectsAt, type JsonObject } from '../json/json-object.ts';

/** Who sent a request, as the API server knows it. */
export interface Requester {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Writes into a new CertificateSigningRequest, in place, who asked: nobody asks in the name of another. */
export function stampRequester(request: JsonObject, by: Requester): void {
  const spec = objectAt(request, 'spec') ?? {};
  for (const field of ['username', 'uid', 'groups', 'extra']) delete spec[field];
  spec['username'] = by.name;
  if (by.uid !== undefined && by.uid !== '') spec['uid'] = by.uid;
  if (by.groups.length > 0) spec['groups'] = [...by.groups];
  if (by.extra !== undefined && Object.keys(by.extra).length > 0) spec['extra'] = { ...by.extra };
  request['spec'] = spec;
}

/**
 * Keeps, in place, what an update of a CertificateSigningRequest cannot change: everything but metadata by the main path, the
 * certificate by `approval`, the verdict by `status`.
 */
export function keepOfRequest(request: JsonObject, old: JsonObject, subresource: string | undefined): void {
  request['spec'] = structuredClone(objectAt(old, 'spec') ?? {});
  const before = structuredClone(objectAt(old, 'status') ?? {});
  const given = objectAt(request, 'status') ?? {};
  if (subresource === 'approval') {
    const { certificate: _given, ...decided } = given;
    const { certificate } = before;
    request['status'] = { ...decided, ...(certificate === undefined ? {} : { certificate }) };
  } else if (subresource === 'status') {
    for (const type of ['Approved', 'Denied']) keepVerdicts(given, before, type);
  } else request['status'] = before;
}

/** Verdicts that are there stay as they were; one that was added or taken away stays so, for validation to refuse. */
function keepVerdicts(given: JsonObject, before: JsonObject, type: string): void {
  const held = objectsAt(before, 'conditions').filter((condition) => condition['type'] === type);
  const conditions = objectsAt(given, 'conditions');
  if (conditions.filter((condition) => condition['type'] === type).length !== held.length) return;
  let next = 0;
  given['conditions'] = conditions.map((condition) =>
    condition['type'] === type ? (held[next++] ?? condition) : condition,
  );
}

/** Gives the conditions of a request, in place, the times that whoever wrote them left out. */
export function stampConditions(request: JsonObject, old: JsonObject, now: string): void {
  const before = objectsAt(objectAt(old, 'status'), 'conditions');
  for (const condition of objectsAt(objectAt(request, 'status'), 'conditions')) {
    condition['lastUpdateTime'] ??= now;
    const same = before.find(
      ({ type, status }) => type === condition['type'] && status === condition['status'],
    );
    condition['lastTransitionTime'] ??= same?.['lastTransitionTime'] ?? now;
  }
}
