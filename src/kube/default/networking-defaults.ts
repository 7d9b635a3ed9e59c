import { objectAt, objectsAt, type JsonObject } from '../json/json-object.ts';
import { setDefault } from './_set-default.ts';

/** Fills in the spec of an IngressClass. */
export function setIngressClassDefaults(spec: JsonObject): void {
  const parameters = objectAt(spec, 'parameters');
  if (parameters !== undefined) setDefault(parameters, 'scope', 'Cluster');
}

/** Fills in the spec of a NetworkPolicy: it is about what comes in, and about what goes out when it says so. */
export function setNetworkPolicyDefaults(spec: JsonObject): void {
  const rules = [...objectsAt(spec, 'ingress'), ...objectsAt(spec, 'egress')];
  for (const port of rules.flatMap((rule) => objectsAt(rule, 'ports'))) setDefault(port, 'protocol', 'TCP');
  const types = spec['policyTypes'];
  if (Array.isArray(types) && types.length > 0) return;
  spec['policyTypes'] = objectsAt(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
}
