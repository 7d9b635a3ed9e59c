import { isIP } from 'node:net';

import { isDeepStrictEqual } from 'node:util';
import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  type FieldError,
} from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { validateLabels } from './metadata.ts';
import {
  labelNameFaults,
  portNameFaults,
  portNumberFaults,
  qualifiedNameFaults,
  subdomainFaults,
} from './name-rules.ts';

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const NO_IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
/** A day: the longest that a client may be kept with one Pod. */
const MAX_STICKY_SECONDS = 86_400;

/** Checks a Service, less its metadata. */
export function validateService(service: JsonObject): FieldError[] {
  const spec = objectAt(service, 'spec') ?? {};
  const errors: FieldError[] = [];
  const type = stringAt(spec, 'type');
  const ports = objectsAt(spec, 'ports');
  const clusterIps = stringsAt(spec, 'clusterIPs');
  const isHeadless = clusterIps[0] === 'None';
  if (ports.length === 0 && !isHeadless && type !== 'ExternalName') errors.push(required('spec.ports'));
  if (type === 'LoadBalancer' || type === 'NodePort') {
    if (isHeadless) {
      errors.push(
        invalidValue('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`),
      );
    }
  }
  if (type === 'ExternalName') {
    if (clusterIps.length > 0) {
      errors.push(forbiddenField('spec.clusterIPs', 'may not be set for ExternalName services'));
    }
    const name = stringAt(spec, 'externalName').replace(/\.$/, '');
    if (name === '') errors.push(required('spec.externalName'));
    else
      for (const fault of subdomainFaults(name)) errors.push(invalidValue('spec.externalName', name, fault));
  }
  errors.push(...validatePorts(ports, type));
  errors.push(...validateLabels(strings(objectAt(spec, 'selector')), 'spec.selector'));
  const affinity = stringAt(spec, 'sessionAffinity');
  if (affinity === '') errors.push(required('spec.sessionAffinity'));
  else if (affinity !== 'ClientIP' && affinity !== 'None') {
    errors.push(notSupported('spec.sessionAffinity', affinity, ['ClientIP', 'None']));
  }
  const seconds = numberAt(objectAt(objectAt(spec, 'sessionAffinityConfig'), 'clientIP'), 'timeoutSeconds');
  if (affinity === 'ClientIP' && seconds !== undefined && (seconds <= 0 || seconds > MAX_STICKY_SECONDS)) {
    errors.push(
      invalidValue(
        'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
        seconds,
        `must be greater than 0 and less than ${MAX_STICKY_SECONDS}`,
      ),
    );
  }
  if (type === '') errors.push(required('spec.type'));
  else if (!TYPES.includes(type)) errors.push(notSupported('spec.type', type, TYPES));
  clusterIps.forEach((ip, index) => {
    if (ip !== 'None' && isIP(ip) === 0) errors.push(invalidValue(`spec.clusterIPs[${index}]`, ip, NO_IP));
  });
  stringsAt(spec, 'externalIPs').forEach((ip, index) => {
    if (isIP(ip) === 0) errors.push(invalidValue(`spec.externalIPs[${index}]`, ip, NO_IP));
  });
  for (const field of ['externalTrafficPolicy', 'internalTrafficPolicy']) {
    const policy = stringAt(spec, field);
    if (policy !== '' && policy !== 'Cluster' && policy !== 'Local') {
      errors.push(notSupported(`spec.${field}`, policy, ['Cluster', 'Local']));
    }
  }
  return errors;
}

/** Checks a changed Service: the address that clients know stays. */
export function validateServiceUpdate(service: JsonObject, old: JsonObject): FieldError[] {
  const errors = validateService(service);
  const spec = objectAt(service, 'spec') ?? {};
  const before = objectAt(old, 'spec') ?? {};
  const had = stringAt(before, 'clusterIP');
  const isKept = stringAt(spec, 'type') !== 'ExternalName' && stringAt(before, 'type') !== 'ExternalName';
  if (isKept && had !== '' && !isDeepStrictEqual(spec['clusterIPs'], before['clusterIPs'])) {
    errors.unshift(invalidValue('spec.clusterIPs[0]', spec['clusterIPs'] ?? null, 'may not change once set'));
  }
  return errors;
}

function validatePorts(ports: readonly JsonObject[], type: string): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const seen = new Set<string>();
  ports.forEach((port, index) => {
    const at = `spec.ports[${index}]`;
    const name = stringAt(port, 'name');
    if (name === '') {
      if (ports.length > 1) errors.push(required(`${at}.name`));
    } else {
      for (const fault of labelNameFaults(name)) errors.push(invalidValue(`${at}.name`, name, fault));
      if (names.has(name)) errors.push(duplicateValue(`${at}.name`, name));
      names.add(name);
    }
    const number = numberAt(port, 'port') ?? 0;
    for (const fault of portNumberFaults(number)) errors.push(invalidValue(`${at}.port`, number, fault));
    const protocol = stringAt(port, 'protocol');
    if (protocol === '') errors.push(required(`${at}.protocol`));
    else if (!PROTOCOLS.includes(protocol)) errors.push(notSupported(`${at}.protocol`, protocol, PROTOCOLS));
    const target = port['targetPort'];
    if (typeof target === 'number') {
      for (const fault of portNumberFaults(target))
        errors.push(invalidValue(`${at}.targetPort`, target, fault));
    } else if (typeof target === 'string') {
      for (const fault of portNameFaults(target))
        errors.push(invalidValue(`${at}.targetPort`, target, fault));
    }
    const application = stringAt(port, 'appProtocol');
    if (application !== '') {
      for (const fault of qualifiedNameFaults(application)) {
        errors.push(invalidValue(`${at}.appProtocol`, application, fault));
      }
    }
    const node = numberAt(port, 'nodePort') ?? 0;
    if (node !== 0 && (type === 'ClusterIP' || type === 'ExternalName')) {
      errors.push(forbiddenField(`${at}.nodePort`, `may not be used when \`type\` is '${type}'`));
    }
    const key = `${protocol}/${number}`;
    if (seen.has(key)) {
      const shown = {
        Name: '',
        Protocol: protocol,
        AppProtocol: null,
        Port: number,
        TargetPort: 0,
        NodePort: 0,
      };
      errors.push(duplicateValue(at, shown));
    }
    seen.add(key);
  });
  return errors;
}

const ADDRESS_TYPES = ['FQDN', 'IPv4', 'IPv6'];

/** Checks an EndpointSlice, less its metadata. */
export function validateEndpointSlice(slice: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  const type = stringAt(slice, 'addressType');
  if (type === '') errors.push(required('addressType'));
  else if (!ADDRESS_TYPES.includes(type)) errors.push(notSupported('addressType', type, ADDRESS_TYPES));
  objectsAt(slice, 'endpoints').forEach((endpoint, index) => {
    const at = `endpoints[${index}].addresses`;
    const addresses = stringsAt(endpoint, 'addresses');
    if (addresses.length === 0) errors.push(required(at, 'must contain at least 1 address'));
    addresses.forEach((address, place) => {
      const family = type === 'IPv4' ? 4 : type === 'IPv6' ? 6 : 0;
      if (family !== 0 && isIP(address) !== family) {
        errors.push(invalidValue(`${at}[${place}]`, address, `must be an ${type} address`));
      }
    });
  });
  return errors;
}

/** Checks a changed EndpointSlice. */
export function validateEndpointSliceUpdate(slice: JsonObject, old: JsonObject): FieldError[] {
  const errors = validateEndpointSlice(slice);
  if (slice['addressType'] !== old['addressType']) {
    errors.push(invalidValue('addressType', slice['addressType'], 'field is immutable'));
  }
  return errors;
}

/** Checks Endpoints, less their metadata. */
export function validateEndpoints(endpoints: JsonObject): FieldError[] {
  return objectsAt(endpoints, 'subsets').flatMap((subset, index) => {
    const at = `subsets[${index}]`;
    const ready = objectsAt(subset, 'addresses');
    const unready = objectsAt(subset, 'notReadyAddresses');
    const errors: FieldError[] = [];
    if (ready.length + unready.length === 0) {
      errors.push(required(at, 'must specify `addresses` or `notReadyAddresses`'));
    }
    for (const [name, list] of [
      ['addresses', ready],
      ['notReadyAddresses', unready],
    ] as const) {
      list.forEach((address, place) => {
        const ip = stringAt(address, 'ip');
        if (isIP(ip) === 0) errors.push(invalidValue(`${at}.${name}[${place}].ip`, ip, NO_IP));
      });
    }
    const ports = objectsAt(subset, 'ports');
    ports.forEach((port, place) => {
      if (ports.length > 1 && stringAt(port, 'name') === '')
        errors.push(required(`${at}.ports[${place}].name`));
      const number = numberAt(port, 'port') ?? 0;
      for (const fault of portNumberFaults(number)) {
        errors.push(invalidValue(`${at}.ports[${place}].port`, number, fault));
      }
    });
    return errors;
  });
}

function strings(map: JsonObject | undefined): Record<string, string> {
  return (map ?? {}) as Record<string, string>;
}
