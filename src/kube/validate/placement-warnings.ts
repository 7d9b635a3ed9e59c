import {
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  stringsAt,
  type JsonObject,
} from '../json/json-object.ts';
import { labelValueFaults } from './name-rules.ts';

const USE = (field: string, since: string): string => `deprecated since ${since}; use "${field}" instead`;

/** Labels of nodes that have other names now. */
const OLD_LABELS: Readonly<Record<string, string | undefined>> = {
  'beta.kubernetes.io/arch': USE('kubernetes.io/arch', 'v1.14'),
  'beta.kubernetes.io/os': USE('kubernetes.io/os', 'v1.14'),
  'failure-domain.beta.kubernetes.io/region': USE('topology.kubernetes.io/region', 'v1.17'),
  'failure-domain.beta.kubernetes.io/zone': USE('topology.kubernetes.io/zone', 'v1.17'),
  'beta.kubernetes.io/instance-type': USE('node.kubernetes.io/instance-type', 'v1.17'),
  'node-role.kubernetes.io/master': 'use "node-role.kubernetes.io/control-plane" instead',
};

const NEEDED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';
const FINDS_NOTHING = 'a null labelSelector results in matching no pod';

/** Returns the text for a label of nodes that has another name now. */
export function oldLabel(key: string): string | undefined {
  return Object.hasOwn(OLD_LABELS, key) ? OLD_LABELS[key] : undefined;
}

/** Returns texts for where a Pod is to go, below `at`, its `spec`. */
export function placementWarnings(spec: JsonObject, at: string): string[] {
  const warnings = Object.keys(stringMapAt(spec, 'nodeSelector'))
    .toSorted()
    .flatMap((key) => {
      const why = oldLabel(key);
      return why === undefined ? [] : [`${at}.nodeSelector[${key}]: ${why}`];
    });
  const affinity = objectAt(spec, 'affinity');
  const nodes = objectAt(affinity, 'nodeAffinity');
  const path = `${at}.affinity.nodeAffinity`;
  warnings.push(...nodeTermsWarnings(objectAt(nodes, NEEDED), `${path}.${NEEDED}`));
  objectsAt(nodes, PREFERRED).forEach((entry, index) => {
    const term = objectAt(entry, 'preference') ?? {};
    const place = `${path}.${PREFERRED}[${index}].preference`;
    warnings.push(...termWarnings(term, place), ...labelValueWarnings(term, place));
  });
  objectsAt(spec, 'topologySpreadConstraints').forEach((constraint, index) => {
    const place = `${at}.topologySpreadConstraints[${index}]`;
    const key = stringAt(constraint, 'topologyKey');
    const why = oldLabel(key);
    if (why !== undefined) warnings.push(`${place}.topologyKey: ${key} is ${why}`);
    if (constraint['labelSelector'] === undefined) warnings.push(`${place}.labelSelector: ${FINDS_NOTHING}`);
  });
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    const pods = objectAt(affinity, kind);
    objectsAt(pods, NEEDED).forEach((term, index) => {
      if (term['labelSelector'] !== undefined) return;
      warnings.push(`${at}.affinity.${kind}.${NEEDED}[${index}].labelSelector: ${FINDS_NOTHING}`);
    });
    objectsAt(pods, PREFERRED).forEach((weighted, index) => {
      if (objectAt(weighted, 'podAffinityTerm')?.['labelSelector'] !== undefined) return;
      const place = `${at}.affinity.${kind}.${PREFERRED}[${index}].podAffinityTerm`;
      warnings.push(`${place}.labelSelector: ${FINDS_NOTHING}`);
    });
  }
  return warnings;
}

/** Returns texts for a selection of nodes by terms. */
export function nodeTermsWarnings(selector: JsonObject | undefined, at: string): string[] {
  return objectsAt(selector, 'nodeSelectorTerms').flatMap((term, index) =>
    termWarnings(term, `${at}.nodeSelectorTerms[${index}]`),
  );
}

function termWarnings(term: JsonObject, at: string): string[] {
  return objectsAt(term, 'matchExpressions').flatMap((expression, index) => {
    const key = stringAt(expression, 'key');
    const why = oldLabel(key);
    return why === undefined ? [] : [`${at}.matchExpressions[${index}].key: ${key} is ${why}`];
  });
}

/** Values that no label can have are refused where they decide, and only told of where they are preferred. */
function labelValueWarnings(term: JsonObject, at: string): string[] {
  return objectsAt(term, 'matchExpressions').flatMap((expression, index) =>
    stringsAt(expression, 'values').flatMap((value, place) =>
      labelValueFaults(value).map(
        (fault) => `${at}.matchExpressions[${index}].values[${place}]: ${value} is invalid, ${fault}`,
      ),
    ),
  );
}
