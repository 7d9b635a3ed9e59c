import {
  objectAt,
  objectsAt,
  stringAt,
  stringMapAt,
  stringsAt,
  type JsonObject,
} from '../json/json-object.ts';
import { addressWarnings, rangeWarnings } from './address-warnings.ts';

const OLD_HINTS = 'service.kubernetes.io/topology-aware-hints';
const TOPOLOGY_MODE = 'service.kubernetes.io/topology-mode';
const OLD_INGRESS_CLASS = 'kubernetes.io/ingress.class';
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
/** What controllers write is not looked at: they take over what a Service or Endpoints says. */
const SLICE_CONTROLLERS: ReadonlySet<string> = new Set([
  'endpointslice-controller.k8s.io',
  'endpointslicemirroring-controller.k8s.io',
]);

/** Returns texts for what a valid Service says without effect, or in a way that is to go. */
export function serviceWarnings(service: JsonObject): string[] {
  const spec = objectAt(service, 'spec') ?? {};
  const type = stringAt(spec, 'type');
  const external = stringsAt(spec, 'externalIPs');
  const loadBalancer = stringAt(spec, 'loadBalancerIP');
  const isHeadless = type === 'ClusterIP' && stringAt(spec, 'clusterIP') === 'None';
  const isName = type === 'ExternalName';
  const warnings: string[] = [];
  if (Object.hasOwn(stringMapAt(objectAt(service, 'metadata'), 'annotations'), OLD_HINTS)) {
    warnings.push(`annotation ${OLD_HINTS} is deprecated, please use ${TOPOLOGY_MODE} instead`);
  }
  if (!isHeadless && stringAt(spec, 'clusterIP') !== '') {
    warnings.push(...each(stringsAt(spec, 'clusterIPs'), 'spec.clusterIPs', addressWarnings));
  }
  if (isHeadless) {
    if (loadBalancer !== '') warnings.push('spec.loadBalancerIP is ignored for headless services');
    if (external.length > 0) warnings.push('spec.externalIPs is ignored for headless services');
    if (stringAt(spec, 'sessionAffinity') !== 'None') {
      warnings.push('spec.SessionAffinity is ignored for headless services');
    }
  }
  warnings.push(...each(external, 'spec.externalIPs', addressWarnings));
  if (external.length > 0 && !isHeadless && !isName) {
    warnings.push('spec.externalIPs is deprecated and may no longer be implemented in some clusters');
  }
  warnings.push(...addressWarnings(loadBalancer, 'spec.loadBalancerIP'));
  const sources = stringsAt(spec, 'loadBalancerSourceRanges');
  warnings.push(...each(sources, 'spec.loadBalancerSourceRanges', rangeWarnings));
  if (isName && external.length > 0) {
    warnings.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  }
  if (!isName && stringAt(spec, 'externalName') !== '') {
    warnings.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  }
  if (stringAt(spec, 'trafficDistribution') === 'PreferClose') {
    warnings.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"');
  }
  return warnings;
}

/** Returns texts for a new Ingress. */
export function ingressWarnings(ingress: JsonObject): string[] {
  if (!Object.hasOwn(stringMapAt(objectAt(ingress, 'metadata'), 'annotations'), OLD_INGRESS_CLASS)) return [];
  return [`annotation "${OLD_INGRESS_CLASS}" is deprecated, please use 'spec.ingressClassName' instead`];
}

/** Returns texts for ranges of a NetworkPolicy. */
export function networkPolicyWarnings(policy: JsonObject): string[] {
  const spec = objectAt(policy, 'spec');
  return [
    ['ingress', 'from'],
    ['egress', 'to'],
  ].flatMap(([direction = '', peers = '']) =>
    objectsAt(spec, direction).flatMap((rule, index) =>
      objectsAt(rule, peers).flatMap((peer, place) => {
        const block = objectAt(peer, 'ipBlock');
        const at = `spec.${direction}[${index}].${peers}[${place}].ipBlock`;
        return [
          ...rangeWarnings(stringAt(block, 'cidr'), `${at}.cidr`),
          ...each(stringsAt(block, 'except'), `${at}.except`, rangeWarnings),
        ];
      }),
    ),
  );
}

/** Returns texts for addresses of Endpoints. */
export function endpointsWarnings(endpoints: JsonObject): string[] {
  return objectsAt(endpoints, 'subsets').flatMap((subset, index) =>
    ['addresses', 'notReadyAddresses'].flatMap((list) =>
      objectsAt(subset, list).flatMap((address, place) =>
        addressWarnings(stringAt(address, 'ip'), `subsets[${index}].${list}[${place}].ip`),
      ),
    ),
  );
}

/** Returns texts for addresses of an EndpointSlice, and for names in their place. */
export function endpointSliceWarnings(slice: JsonObject, isNew: boolean): string[] {
  const labels = stringMapAt(objectAt(slice, 'metadata'), 'labels');
  const hasNames = isNew && stringAt(slice, 'addressType') === 'FQDN';
  const warnings = hasNames ? ['spec.addressType: FQDN endpoints are deprecated'] : [];
  if (SLICE_CONTROLLERS.has(labels[MANAGED_BY] ?? '')) return warnings;
  objectsAt(slice, 'endpoints').forEach((endpoint, index) => {
    const at = `endpoints[${index}].addresses`;
    warnings.push(...each(stringsAt(endpoint, 'addresses'), at, addressWarnings));
  });
  return warnings;
}

/** Returns texts for the ranges that a node gives its Pods addresses of. */
export function nodeAddressWarnings(spec: JsonObject): string[] {
  return each(stringsAt(spec, 'podCIDRs'), 'spec.podCIDRs', rangeWarnings);
}

function each(
  values: readonly string[],
  at: string,
  warningsOf: (value: string, at: string) => string[],
): string[] {
  return values.flatMap((value, index) => warningsOf(value, `${at}[${index}]`));
}
