import { BlockList, isIP } from 'node:net';

import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { validateImmutable, validateLabelSelector } from './metadata.ts';
import { dns1035Faults, portNameFaults, portNumberFaults, subdomainFaults } from './name-rules.ts';

const PATH_TYPES = ['Exact', 'ImplementationSpecific', 'Prefix'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const DIRECTIONS = ['Egress', 'Ingress'];
/** What proxies read in different ways, so that a rule would not mean one thing. */
const AMBIGUOUS = ['//', '/./', '/../', '%2f', '%2F'];
const AMBIGUOUS_ENDS = ['/..', '/.'];
const CONTROLLER_MAX = 250;

/** Checks an Ingress, less its metadata. */
export function validateIngress(ingress: JsonObject): FieldError[] {
  const spec = objectAt(ingress, 'spec') ?? {};
  const errors: FieldError[] = [];
  const rules = objectsAt(spec, 'rules');
  const fallback = objectAt(spec, 'defaultBackend');
  if (rules.length === 0 && fallback === undefined) {
    errors.push(invalidValue('spec', spec, 'either `defaultBackend` or `rules` must be specified'));
  }
  if (fallback !== undefined) errors.push(...validateBackend(fallback, 'spec.defaultBackend'));
  rules.forEach((rule, index) => {
    errors.push(...validateRule(rule, `spec.rules[${index}]`));
  });
  objectsAt(spec, 'tls').forEach((tls, index) => {
    stringsAt(tls, 'hosts').forEach((host, at) => {
      const path = `spec.tls[${index}].hosts[${at}]`;
      for (const fault of hostFaults(host)) errors.push(invalidValue(path, host, fault));
    });
  });
  const className = spec['ingressClassName'];
  if (typeof className === 'string') {
    for (const fault of subdomainFaults(className)) {
      errors.push(invalidValue('spec.ingressClassName', className, fault));
    }
  }
  return errors;
}

function validateRule(rule: JsonObject, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const host = stringAt(rule, 'host');
  if (host !== '') {
    if (isIP(host) !== 0) {
      errors.push(invalidValue(`${at}.host`, host, 'must be a DNS name, not an IP address'));
    } else for (const fault of hostFaults(host)) errors.push(invalidValue(`${at}.host`, host, fault));
  }
  const http = objectAt(rule, 'http');
  if (http === undefined) return errors;
  const paths = objectsAt(http, 'paths');
  if (paths.length === 0) errors.push(required(`${at}.http.paths`));
  paths.forEach((path, index) => {
    errors.push(...validatePath(path, `${at}.http.paths[${index}]`));
    errors.push(...validateBackend(objectAt(path, 'backend') ?? {}, `${at}.http.paths[${index}].backend`));
  });
  return errors;
}

function validatePath(path: JsonObject, at: string): FieldError[] {
  const type = path['pathType'];
  if (typeof type !== 'string') return [required(`${at}.pathType`, 'pathType must be specified')];
  if (!PATH_TYPES.includes(type)) return [notSupported(`${at}.pathType`, type, PATH_TYPES)];
  const text = stringAt(path, 'path');
  const isLoose = type === 'ImplementationSpecific';
  const errors: FieldError[] = [];
  if (!text.startsWith('/') && !(isLoose && text === '')) {
    errors.push(invalidValue(`${at}.path`, text, 'must be an absolute path'));
  }
  if (isLoose || text === '') return errors;
  for (const part of AMBIGUOUS) {
    if (text.includes(part)) errors.push(invalidValue(`${at}.path`, text, `must not contain '${part}'`));
  }
  for (const end of AMBIGUOUS_ENDS) {
    if (text.endsWith(end)) errors.push(invalidValue(`${at}.path`, text, `cannot end with '${end}'`));
  }
  return errors;
}

function validateBackend(backend: JsonObject, at: string): FieldError[] {
  const service = objectAt(backend, 'service');
  const resource = objectAt(backend, 'resource');
  if (service !== undefined && resource !== undefined) {
    return [invalidValue(at, '', 'cannot set both resource and service backends')];
  }
  if (resource !== undefined) {
    return ['kind', 'name'].flatMap((key) =>
      stringAt(resource, key) === '' ? [required(`${at}.resource.${key}`)] : [],
    );
  }
  if (service === undefined) return [invalidValue(at, '', 'resource or service backend is required')];
  const errors: FieldError[] = [];
  const name = stringAt(service, 'name');
  if (name === '') errors.push(required(`${at}.service.name`));
  else {
    for (const fault of dns1035Faults(name)) errors.push(invalidValue(`${at}.service.name`, name, fault));
  }
  const port = objectAt(service, 'port');
  const portName = stringAt(port, 'name');
  const number = numberAt(port, 'number') ?? 0;
  if (portName !== '' && number !== 0) {
    errors.push(invalidValue(at, '', 'cannot set both port name & port number'));
  } else if (portName !== '') {
    for (const fault of portNameFaults(portName)) {
      errors.push(invalidValue(`${at}.service.port.name`, portName, fault));
    }
  } else if (number !== 0) {
    for (const fault of portNumberFaults(number)) {
      errors.push(invalidValue(`${at}.service.port.number`, number, fault));
    }
  } else errors.push(required(at, 'port name or number is required'));
  return errors;
}

/** A host may begin with `*.`, which stands for one label. */
function hostFaults(host: string): string[] {
  if (!host.includes('*')) return subdomainFaults(host);
  if (host.startsWith('*.') && subdomainFaults(host.slice('*.'.length)).length === 0) return [];
  return [
    `a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of ` +
      `lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. ` +
      `'*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
  ];
}

/** Checks an IngressClass, less its metadata. */
export function validateIngressClass(ingressClass: JsonObject): FieldError[] {
  const spec = objectAt(ingressClass, 'spec') ?? {};
  const errors: FieldError[] = [];
  const controller = stringAt(spec, 'controller');
  if (controller.length > CONTROLLER_MAX) {
    errors.push(
      invalidValue('spec.controller', controller, `must be no more than ${CONTROLLER_MAX} characters`),
    );
  }
  const [domain = '', ...rest] = controller.split('/');
  if (rest.length === 0) {
    errors.push(
      invalidValue('spec.controller', controller, 'must be a domain-prefixed path (such as "acme.io/foo")'),
    );
  } else {
    for (const fault of subdomainFaults(domain)) {
      errors.push(invalidValue('spec.controller', domain, fault));
    }
  }
  const parameters = objectAt(spec, 'parameters');
  if (parameters === undefined) return errors;
  for (const key of ['kind', 'name']) {
    if (stringAt(parameters, key) === '') {
      errors.push(
        required(`spec.parameters.${key}`, key === 'kind' ? 'kind is required' : 'name is required'),
      );
    }
  }
  const scope = stringAt(parameters, 'scope');
  const hasNamespace = typeof parameters['namespace'] === 'string';
  if (scope !== 'Cluster' && scope !== 'Namespace') {
    errors.push(notSupported('spec.parameters.scope', scope, ['Cluster', 'Namespace']));
  } else if (scope === 'Namespace' && !hasNamespace) {
    errors.push(required('spec.parameters.namespace', "`parameters.scope` is set to 'Namespace'"));
  } else if (scope === 'Cluster' && hasNamespace) {
    errors.push(forbiddenField('spec.parameters.namespace', "`parameters.scope` is set to 'Cluster'"));
  }
  return errors;
}

/** Checks a changed IngressClass: its controller stays. */
export function validateIngressClassUpdate(ingressClass: JsonObject, old: JsonObject): FieldError[] {
  return [
    ...validateImmutable(
      objectAt(ingressClass, 'spec')?.['controller'],
      objectAt(old, 'spec')?.['controller'],
      'spec.controller',
    ),
    ...validateIngressClass(ingressClass),
  ];
}

/** Checks a NetworkPolicy, less its metadata. */
export function validateNetworkPolicy(policy: JsonObject): FieldError[] {
  const spec = objectAt(policy, 'spec') ?? {};
  const errors = validateLabelSelector(objectAt(spec, 'podSelector'), 'spec.podSelector');
  for (const [direction, peers] of [
    ['ingress', 'from'],
    ['egress', 'to'],
  ] as const) {
    objectsAt(spec, direction).forEach((rule, index) => {
      const at = `spec.${direction}[${index}]`;
      objectsAt(rule, 'ports').forEach((port, n) => {
        errors.push(...validatePolicyPort(port, `${at}.ports[${n}]`));
      });
      objectsAt(rule, peers).forEach((peer, n) => {
        errors.push(...validatePeer(peer, `${at}.${peers}[${n}]`));
      });
    });
  }
  const types = stringsAt(spec, 'policyTypes');
  if (types.length > DIRECTIONS.length) {
    errors.push(invalidValue('spec.policyTypes', types, 'may not specify more than two policyTypes'));
    return errors;
  }
  types.forEach((type, index) => {
    if (!DIRECTIONS.includes(type)) {
      errors.push(notSupported(`spec.policyTypes[${index}]`, type, DIRECTIONS));
    }
  });
  return errors;
}

function validatePolicyPort(port: JsonObject, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const protocol = stringAt(port, 'protocol');
  if (!PROTOCOLS.includes(protocol)) errors.push(notSupported(`${at}.protocol`, protocol, PROTOCOLS));
  const end = numberAt(port, 'endPort');
  const value = port['port'];
  if (value === undefined || value === null) {
    if (end !== undefined)
      errors.push(required(`${at}.port`, 'must be specified when `endPort` is specified'));
  } else if (typeof value === 'number') {
    for (const fault of portNumberFaults(value)) errors.push(invalidValue(`${at}.port`, value, fault));
    if (end !== undefined) {
      if (end < value) {
        errors.push(invalidValue(`${at}.endPort`, end, 'must be greater than or equal to `port`'));
      }
      for (const fault of portNumberFaults(end)) errors.push(invalidValue(`${at}.endPort`, end, fault));
    }
  } else {
    if (end !== undefined) {
      errors.push(invalidValue(`${at}.endPort`, end, 'may not be specified when `port` is non-numeric'));
    }
    for (const fault of portNameFaults(stringAt(port, 'port')))
      errors.push(invalidValue(`${at}.port`, value, fault));
  }
  return errors;
}

function validatePeer(peer: JsonObject, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const selectors = ['podSelector', 'namespaceSelector'].filter((key) => objectAt(peer, key) !== undefined);
  for (const key of selectors) errors.push(...validateLabelSelector(objectAt(peer, key), `${at}.${key}`));
  const block = objectAt(peer, 'ipBlock');
  if (block !== undefined) errors.push(...validateBlock(block, `${at}.ipBlock`));
  if (block !== undefined && selectors.length > 0) {
    errors.push(forbiddenField(at, 'may not specify both ipBlock and another peer'));
  } else if (block === undefined && selectors.length === 0) {
    errors.push(required(at, 'must specify a peer'));
  }
  return errors;
}

function validateBlock(block: JsonObject, at: string): FieldError[] {
  const cidr = stringAt(block, 'cidr');
  if (cidr === '') return [required(`${at}.cidr`)];
  const outer = parseCidr(cidr);
  if (outer === undefined) return [notCidr(`${at}.cidr`, cidr)];
  const within = new BlockList();
  within.addSubnet(outer.address, outer.bits, outer.family);
  return stringsAt(block, 'except').flatMap((text, index) => {
    const inner = parseCidr(text);
    if (inner === undefined) return [notCidr(`${at}.except[${index}]`, text)];
    if (inner.bits > outer.bits && within.check(inner.address, inner.family)) return [];
    return [invalidValue(`${at}.except[${index}]`, text, 'must be a strict subset of `cidr`')];
  });
}

function notCidr(path: string, text: string): FieldError {
  return invalidValue(path, text, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)');
}

interface Cidr {
  readonly address: string;
  readonly bits: number;
  readonly family: 'ipv4' | 'ipv6';
}

function parseCidr(text: string): Cidr | undefined {
  const [address = '', length, ...more] = text.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0 || length === undefined || !/^\d{1,3}$/.test(length)) return undefined;
  const bits = Number(length);
  if (bits > (version === 4 ? 32 : 128)) return undefined;
  return { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' };
}
