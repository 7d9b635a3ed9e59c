import { goQuote } from '../../base/go-quote.ts';
import {
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  stringsAt,
  type JsonObject,
} from '../json/json-object.ts';
import { addressWarnings } from './address-warnings.ts';
import { overlapWarnings } from './overlap-warnings.ts';
import { placementWarnings } from './placement-warnings.ts';
import { fractionWarnings, volumeWarnings } from './volume-warnings.ts';

const OLD_ANNOTATIONS: Readonly<Record<string, string>> = {
  'scheduler.alpha.kubernetes.io/critical-pod':
    'non-functional in v1.16+; use the "priorityClassName" field instead',
  'security.alpha.kubernetes.io/sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
  'security.alpha.kubernetes.io/unsafe-sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
};

const SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead';
const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod';
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/';
const APPARMOR = 'container.apparmor.security.beta.kubernetes.io/';
const LISTS = ['initContainers', 'containers', 'ephemeralContainers'] as const;

/**
 * Returns texts for a valid Pod or template that still deserves a word.
 *
 * @param prefix `''` for a Pod, else the template's field with a dot: `spec.template.`
 */
export function podWarnings(holder: JsonObject, prefix: string): string[] {
  const spec = objectAt(holder, 'spec') ?? {};
  const annotations = stringMapAt(objectAt(holder, 'metadata'), 'annotations');
  const at = `${prefix}spec`;
  const warnings = placementWarnings(spec, at);
  for (const [key, why] of Object.entries(OLD_ANNOTATIONS)) {
    if (Object.hasOwn(annotations, key)) warnings.push(`${prefix}metadata.annotations[${key}]: ${why}`);
  }
  warnings.push(...volumeWarnings(spec, at), ...overlapWarnings(objectsAt(spec, 'volumes')));
  warnings.push(...repeated(objectsAt(spec, 'hostAliases'), 'ip', `${at}.hostAliases`));
  warnings.push(...pullSecretWarnings(objectsAt(spec, 'imagePullSecrets'), `${at}.imagePullSecrets`));
  warnings.push(...fractionWarnings(objectAt(spec, 'overhead'), `${at}.overhead`));
  const security = objectAt(spec, 'securityContext');
  if (security?.['seccompProfile'] === undefined && Object.hasOwn(annotations, SECCOMP_POD)) {
    warnings.push(`${prefix}metadata.annotations[${SECCOMP_POD}]: ${SECCOMP}`);
  }
  for (const list of LISTS) {
    objectsAt(spec, list).forEach((container, index) => {
      warnings.push(...annotationWarnings(container, annotations, security, prefix));
      const resources = objectAt(container, 'resources');
      const path = `${at}.${list}[${index}]`;
      for (const kind of ['limits', 'requests']) {
        warnings.push(...fractionWarnings(objectAt(resources, kind), `${path}.resources.${kind}`));
      }
      warnings.push(...envWarnings(objectsAt(container, 'env'), `${path}.env`));
    });
  }
  warnings.push(...portWarnings(spec, at), ...portNameWarnings(spec, at));
  const grace = numberAt(spec, 'terminationGracePeriodSeconds');
  if (grace !== undefined && grace < 0) {
    const why = 'must be >= 0; negative values are invalid and will be treated as 1';
    warnings.push(`${at}.terminationGracePeriodSeconds: ${why}`);
  }
  warnings.push(...podAddressWarnings(spec, at));
  return warnings;
}

function podAddressWarnings(spec: JsonObject, at: string): string[] {
  const servers = stringsAt(objectAt(spec, 'dnsConfig'), 'nameservers');
  return [
    ...servers.flatMap((server, index) => addressWarnings(server, `${at}.dnsConfig.nameservers[${index}]`)),
    ...objectsAt(spec, 'hostAliases').flatMap((alias, index) =>
      addressWarnings(stringAt(alias, 'ip'), `${at}.hostAliases[${index}].ip`),
    ),
  ];
}

function repeated(items: readonly JsonObject[], key: string, at: string): string[] {
  const seen = new Set<string>();
  return items.flatMap((item, index) => {
    const value = stringAt(item, key);
    if (seen.has(value)) return [`${at}[${index}].${key}: duplicate ${key} ${goQuote(value)}`];
    seen.add(value);
    return [];
  });
}

function pullSecretWarnings(secrets: readonly JsonObject[], at: string): string[] {
  const empty = secrets.flatMap((secret, index) =>
    stringAt(secret, 'name') === '' ? [`${at}[${index}].name: invalid empty name ""`] : [],
  );
  return [...repeated(secrets, 'name', at), ...empty];
}

function annotationWarnings(
  container: JsonObject,
  annotations: Readonly<Record<string, string>>,
  podSecurity: JsonObject | undefined,
  prefix: string,
): string[] {
  const name = stringAt(container, 'name');
  const security = objectAt(container, 'securityContext');
  const warnings: string[] = [];
  const seccomp = `${SECCOMP_CONTAINER}${name}`;
  if (security?.['seccompProfile'] === undefined && Object.hasOwn(annotations, seccomp)) {
    warnings.push(`${prefix}metadata.annotations[${seccomp}]: ${SECCOMP}`);
  }
  const apparmor = `${APPARMOR}${name}`;
  const profile = security?.['appArmorProfile'] ?? podSecurity?.['appArmorProfile'];
  if (profile === undefined && Object.hasOwn(annotations, apparmor)) {
    const why = 'deprecated since v1.30; use the "appArmorProfile" field instead';
    warnings.push(`${prefix}metadata.annotations[${apparmor}]: ${why}`);
  }
  return warnings;
}

function envWarnings(env: readonly JsonObject[], at: string): string[] {
  const seen = new Set<string>();
  return env.flatMap((entry, index) => {
    const name = stringAt(entry, 'name');
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    const value = stringAt(entry, 'value');
    const reference = `$(${name})`;
    // A value built from the earlier one, such as PATH=/x:$(PATH), means to hide it.
    const builds = value.includes(reference) && value !== reference && entry['valueFrom'] === undefined;
    if (builds) return [];
    return [
      `${at}[${index}]: hides previous definition of ${goQuote(name)}, which may be dropped when using apply`,
    ];
  });
}

interface Port {
  readonly at: string;
  readonly hostIP: string;
  readonly hostPort: number;
}

function portWarnings(spec: JsonObject, at: string): string[] {
  const seen = new Map<string, Port[]>();
  const warnings: string[] = [];
  for (const list of LISTS) {
    objectsAt(spec, list).forEach((container, index) => {
      objectsAt(container, 'ports').forEach((port, place) => {
        const mine: Port = {
          at: `${at}.${list}[${index}].ports[${place}]`,
          hostIP: stringAt(port, 'hostIP'),
          hostPort: numberAt(port, 'hostPort') ?? 0,
        };
        const number = numberAt(port, 'containerPort') ?? 0;
        const protocol = stringAt(port, 'protocol');
        if (mine.hostIP !== '' && mine.hostPort === 0) {
          const shown = `{Name:${stringAt(port, 'name')} HostPort:0 ContainerPort:${number} Protocol:${protocol} HostIP:${mine.hostIP}}`;
          warnings.push(`${mine.at}: hostIP set without hostPort: ${shown}`);
        }
        const key = `${number}/${protocol}`;
        const others = seen.get(key) ?? [];
        warnings.push(...others.flatMap((other) => clash(mine, other)));
        seen.set(key, [...others, mine]);
      });
    });
  }
  return warnings;
}

function clash(mine: Port, other: Port): string[] {
  const say = (what: string): string[] => [`${mine.at}: ${what} port definition with ${other.at}`];
  if (mine.hostIP === other.hostIP && mine.hostPort === other.hostPort) return say('duplicate');
  if (mine.hostPort === 0 || other.hostPort === 0) return say('overlapping');
  const oneIsAny = (mine.hostIP === '') !== (other.hostIP === '');
  return mine.hostPort === other.hostPort && oneIsAny ? say('dangerously ambiguous') : [];
}

/** Services and probes find a port by its name, in the first container that has it. */
function portNameWarnings(spec: JsonObject, at: string): string[] {
  const seen = new Map<string, string>();
  const warnings: string[] = [];
  for (const list of ['initContainers', 'containers']) {
    objectsAt(spec, list).forEach((container, index) => {
      // What runs before the others serves nobody.
      if (list === 'initContainers' && container['restartPolicy'] !== 'Always') {
        return;
      }
      objectsAt(container, 'ports').forEach((port, place) => {
        const name = stringAt(port, 'name');
        if (name === '') return;
        const mine = `${at}.${list}[${index}].ports[${place}].name`;
        const first = seen.get(name);
        if (first === undefined) seen.set(name, mine);
        else {
          warnings.push(
            `${mine}: duplicate port name ${goQuote(name)} with ${first}, services and probes that select ports by name will use ${first}`,
          );
        }
      });
    });
  }
  return warnings;
}
