import { isIP } from 'node:net';

import { forbiddenField, invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { looseSubdomainFaults, subdomainFaults } from './name-rules.ts';

const POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
/** What resolvers of the C library take. */
const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_BYTES = 2048;

/** Checks an IP address. */
export function validateIp(text: string, path: string): FieldError[] {
  if (isIP(text) !== 0) return [];
  return [invalidValue(path, text, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')];
}

/** Checks which way a Pod resolves names. */
export function validateDnsPolicy(spec: JsonObject, path: string): FieldError[] {
  const policy = stringAt(spec, 'dnsPolicy');
  const at = `${path}.dnsPolicy`;
  if (policy === '') return [required(at)];
  return POLICIES.includes(policy) ? [] : [notSupported(at, policy, POLICIES)];
}

/** Checks a Pod's own resolver configuration. */
export function validateDnsConfig(spec: JsonObject, path: string): FieldError[] {
  const at = `${path}.dnsConfig`;
  const config = objectAt(spec, 'dnsConfig');
  const servers = stringsAt(config, 'nameservers');
  if (stringAt(spec, 'dnsPolicy') === 'None') {
    if (config === undefined) return [required(at, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    if (servers.length === 0) {
      const why = 'must provide at least one DNS nameserver when `dnsPolicy` is None';
      return [required(`${at}.nameservers`, why)];
    }
  }
  const errors: FieldError[] = [];
  if (servers.length > MAX_NAMESERVERS) {
    const why = `must not have more than ${MAX_NAMESERVERS} nameservers`;
    errors.push(invalidValue(`${at}.nameservers`, servers, why));
  }
  servers.forEach((server, index) => errors.push(...validateIp(server, `${at}.nameservers[${index}]`)));
  const searches = stringsAt(config, 'searches');
  if (searches.length > MAX_SEARCHES) {
    const why = `must not have more than ${MAX_SEARCHES} search paths`;
    errors.push(invalidValue(`${at}.searches`, searches, why));
  }
  if (searches.join(' ').length > MAX_SEARCH_BYTES) {
    const why = `must not have more than ${MAX_SEARCH_BYTES} characters (including spaces) in the search list`;
    errors.push(invalidValue(`${at}.searches`, searches, why));
  }
  searches.forEach((search, index) => {
    if (search === '.') return;
    const name = search.replace(/\.$/, '');
    const faults = looseSubdomainFaults(name);
    errors.push(...faults.map((fault) => invalidValue(`${at}.searches[${index}]`, name, fault)));
  });
  objectsAt(config, 'options').forEach((option, index) => {
    if (stringAt(option, 'name') === '')
      errors.push(required(`${at}.options[${index}]`, 'must not be empty'));
  });
  return errors;
}

/** Checks names that a Pod adds to its hosts file. */
export function validateHostAliases(aliases: readonly JsonObject[], path: string): FieldError[] {
  return aliases.flatMap((alias, index) => [
    ...validateIp(stringAt(alias, 'ip'), `${path}[${index}].ip`),
    ...stringsAt(alias, 'hostnames').flatMap((name, place) =>
      subdomainFaults(name).map((fault) =>
        invalidValue(`${path}[${index}].hostnames[${place}]`, name, fault),
      ),
    ),
  ]);
}

/** Checks that ports of a Pod in the machine's network are the machine's; a template may leave that open. */
export function validateHostNetworkPorts(spec: JsonObject, path: string, inPod: boolean): FieldError[] {
  if (spec['hostNetwork'] !== true) return [];
  return objectsAt(spec, 'containers').flatMap((container, index) =>
    objectsAt(container, 'ports').flatMap((port, place) => {
      const hostPort = numberAt(port, 'hostPort') ?? 0;
      if (hostPort === (numberAt(port, 'containerPort') ?? 0) || (!inPod && hostPort === 0)) return [];
      const at = `${path}.containers[${index}].ports[${place}].hostPort`;
      return [invalidValue(at, hostPort, 'must match `containerPort` when `hostNetwork` is true')];
    }),
  );
}

/** Checks that a Pod with users of its own shares no other name space of the machine. */
export function validateHostUsers(spec: JsonObject, path: string): FieldError[] {
  if (spec['hostUsers'] !== false) return [];
  // Two of the names are written as the server's own code has them.
  return [
    ['hostNetwork', 'hostNetwork'],
    ['hostPID', 'HostPID'],
    ['hostIPC', 'HostIPC'],
  ].flatMap(([key = '', shown = '']) =>
    spec[key] === true ? [forbiddenField(`${path}.${shown}`, 'when `pod.Spec.HostUsers` is false')] : [],
  );
}

/** Longest name that Linux gives a machine. */
const MAX_HOSTNAME = 64;

/** Checks the host name that is to be, whatever else says: the Pod must have one of its own. */
export function validateHostnameOverride(spec: JsonObject, path: string): FieldError[] {
  if (spec['hostnameOverride'] === undefined) return [];
  const name = stringAt(spec, 'hostnameOverride');
  const at = `${path}.hostnameOverride`;
  const errors = subdomainFaults(name).map((fault) => invalidValue(at, name, fault));
  if (name.length > MAX_HOSTNAME) {
    errors.push(invalidValue(at, name, `must be no more than ${MAX_HOSTNAME} characters`));
  }
  const why = 'must be false when hostnameOverride is set';
  for (const field of ['hostNetwork', 'setHostnameAsFQDN']) {
    if (spec[field] === true) errors.push(invalidValue(`${path}.${field}`, true, why));
  }
  return errors;
}
