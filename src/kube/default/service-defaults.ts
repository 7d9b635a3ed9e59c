import { objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { setDefault, setDefaultText } from './_set-default.ts';

/** Seconds that a client stays with one Pod when a Service is asked to keep them together. */
const STICKY_SECONDS = 10_800;

/** Fills in a Service. Addresses are not defaults: the server allocates them. */
export function setServiceDefaults(service: JsonObject): void {
  const spec = objectAt(service, 'spec');
  if (spec !== undefined) {
    setDefaultText(spec, 'sessionAffinity', 'None');
    if (spec['sessionAffinity'] === 'None') delete spec['sessionAffinityConfig'];
    if (spec['sessionAffinity'] === 'ClientIP') {
      const config = objectAt(spec, 'sessionAffinityConfig') ?? {};
      const client = objectAt(config, 'clientIP') ?? {};
      setDefault(client, 'timeoutSeconds', STICKY_SECONDS);
      spec['sessionAffinityConfig'] = { ...config, clientIP: client };
    }
    setDefaultText(spec, 'type', 'ClusterIP');
    for (const port of objectsAt(spec, 'ports')) {
      setDefaultText(port, 'protocol', 'TCP');
      const target = port['targetPort'];
      if (target === undefined || target === 0 || target === '') port['targetPort'] = port['port'];
    }
    const type = stringAt(spec, 'type');
    const isOutside = type === 'NodePort' || type === 'LoadBalancer';
    const hasExternal = stringsAt(spec, 'externalIPs').length > 0;
    if (isOutside || (type === 'ClusterIP' && hasExternal)) {
      setDefaultText(spec, 'externalTrafficPolicy', 'Cluster');
    }
    if (isOutside || type === 'ClusterIP') setDefault(spec, 'internalTrafficPolicy', 'Cluster');
    if (type === 'LoadBalancer') setDefault(spec, 'allocateLoadBalancerNodePorts', true);
  }
  for (const ingress of objectsAt(objectAt(objectAt(service, 'status'), 'loadBalancer'), 'ingress')) {
    if (stringAt(ingress, 'ip') !== '') setDefault(ingress, 'ipMode', 'VIP');
  }
}

/** Fills in the protocols of Endpoints. */
export function setEndpointsDefaults(endpoints: JsonObject): void {
  for (const subset of objectsAt(endpoints, 'subsets')) {
    for (const port of objectsAt(subset, 'ports')) setDefaultText(port, 'protocol', 'TCP');
  }
}

/** Fills in the ports of an EndpointSlice. */
export function setEndpointSliceDefaults(slice: JsonObject): void {
  for (const port of objectsAt(slice, 'ports')) {
    setDefault(port, 'name', '');
    setDefault(port, 'protocol', 'TCP');
  }
}
