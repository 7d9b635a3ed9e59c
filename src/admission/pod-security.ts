import type { JsonObject } from '../kube/json/json-object.ts';
import { objectAt, objectsAt, stringAt, stringsAt } from '../kube/json/json-object.ts';

import {
  added,
  BASELINE,
  capabilities,
  containersOf,
  hostPathVolumes,
  named,
  quoted,
  seccomp,
  seccompType,
  security,
  those,
  who,
  type Check,
} from './_pod-security-baseline.ts';

/** How much a namespace allows its Pods. */
export type PodSecurityLevel = 'privileged' | 'baseline' | 'restricted';

const RESTRICTED_VOLUMES: ReadonlySet<string> = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]);
/**
 * Says in what a Pod goes beyond a level of the Pod Security Standards: `privileged (container "c" must not …), …`;
 * `''` when in nothing. Checks and texts are those of the latest version.
 *
 * @see Kubernetes, "Pod Security Standards"
 */
export function podSecurityFaults(spec: JsonObject, level: PodSecurityLevel): string {
  if (level === 'privileged') return '';
  return (level === 'baseline' ? BASELINE : RESTRICTED)
    .flatMap((check) => {
      const found = check(spec);
      return found === undefined ? [] : [found[1] === '' ? found[0] : `${found[0]} (${found[1]})`];
    })
    .join(', ');
}

const allowEscalation: Check = (spec) => {
  const bad = those(spec, (container) => security(container)?.['allowPrivilegeEscalation'] !== false);
  if (bad.length === 0) return undefined;
  return [
    'allowPrivilegeEscalation != false',
    `${named('container', bad)} must set securityContext.allowPrivilegeEscalation=false`,
  ];
};

const dropAll: Check = (spec) => {
  const keeps = those(
    spec,
    (container) => !stringsAt(objectAt(security(container), 'capabilities'), 'drop').includes('ALL'),
  );
  const details = [
    ...(keeps.length === 0
      ? []
      : [`${named('container', keeps)} must set securityContext.capabilities.drop=["ALL"]`]),
    added(spec, new Set(['NET_BIND_SERVICE'])) ?? '',
  ].filter((detail) => detail !== '');
  return details.length === 0 ? undefined : ['unrestricted capabilities', details.join('; ')];
};

const restrictedVolumes: Check = (spec) => {
  const bad: string[] = [];
  const types = new Set<string>();
  for (const volume of objectsAt(spec, 'volumes')) {
    const type = Object.keys(volume).find((key) => key !== 'name');
    if (type === undefined || RESTRICTED_VOLUMES.has(type)) continue;
    bad.push(stringAt(volume, 'name'));
    types.add(type);
  }
  if (bad.length === 0) return undefined;
  const use = bad.length === 1 ? 'uses' : 'use';
  const list = [...types].toSorted();
  return [
    'restricted volume types',
    `${named('volume', bad)} ${use} restricted volume type${list.length === 1 ? '' : 's'} ${quoted(list)}`,
  ];
};

const runAsNonRoot: Check = (spec) => {
  const reason = 'runAsNonRoot != true';
  const value = (holder: JsonObject): unknown => security(holder)?.['runAsNonRoot'];
  const explicit = those(spec, (container) => value(container) === false);
  const isPodBad = value(spec) === false;
  if (isPodBad || explicit.length > 0) {
    return [reason, `${who(isPodBad, explicit)} must not set securityContext.runAsNonRoot=false`];
  }
  if (value(spec) === true) return undefined;
  const silent = those(spec, (container) => value(container) !== true);
  if (silent.length === 0) return undefined;
  return [reason, `pod or ${named('container', silent)} must set securityContext.runAsNonRoot=true`];
};

const runAsUser: Check = (spec) => {
  const isBad = (holder: JsonObject): boolean => security(holder)?.['runAsUser'] === 0;
  const bad = those(spec, isBad);
  if (!isBad(spec) && bad.length === 0) return undefined;
  return ['runAsUser=0', `${who(isBad(spec), bad)} must not set runAsUser=0`];
};

const seccompRestricted: Check = (spec) => {
  const reason = 'seccompProfile';
  const isGood = (type: string): boolean => type === 'RuntimeDefault' || type === 'Localhost';
  const isBad = (holder: JsonObject): boolean => seccompType(holder) !== '' && !isGood(seccompType(holder));
  const explicit = those(spec, isBad);
  if (isBad(spec) || explicit.length > 0) {
    const types = [...new Set([spec, ...containersOf(spec)].filter(isBad).map(seccompType))].toSorted();
    return [
      reason,
      `${who(isBad(spec), explicit)} must not set securityContext.seccompProfile.type to ${quoted(types)}`,
    ];
  }
  if (isGood(seccompType(spec))) return undefined;
  const silent = those(spec, (container) => seccompType(container) === '');
  if (silent.length === 0) return undefined;
  return [
    reason,
    `pod or ${named('container', silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  ];
};

/** The checks of the stricter level: those of the other first, each in the order of their names. */
const RESTRICTED: readonly Check[] = [
  // Stricter checks take the place of these.
  ...BASELINE.filter((check) => check !== capabilities && check !== hostPathVolumes && check !== seccomp),
  allowEscalation,
  dropAll,
  restrictedVolumes,
  runAsNonRoot,
  runAsUser,
  seccompRestricted,
];
