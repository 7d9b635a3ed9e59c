import { numberAt, objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { ageOf, labelsCell, nameOf, orNone, selectorCell } from './_cells.ts';
import { AGE, NAME, spec, status, text, wide, type Printer } from './_columns.ts';

/** Addresses that a table names before it only counts. */
const SHOWN = 3;

export const service: Printer = {
  columns: [
    NAME,
    text('Type', 'Who the Service is meant for.'),
    text('Cluster-IP', 'Address inside the cluster.'),
    text('External-IP', 'Addresses outside the cluster.'),
    text('Port(s)', 'Ports and their protocols.'),
    AGE,
    wide('Selector', 'Labels of the Pods behind the Service.'),
  ],
  row: (object, now) => {
    const ports = objectsAt(spec(object), 'ports').map((port) => {
      const node = port['nodePort'];
      const outside = typeof node === 'number' && node > 0 ? `:${node}` : '';
      return `${portCell(port)}${outside}/${stringAt(port, 'protocol')}`;
    });
    return [
      nameOf(object),
      stringAt(spec(object), 'type'),
      stringsAt(spec(object), 'clusterIPs')[0] ?? '<none>',
      externalIp(object),
      ports.join(',') || '<none>',
      ageOf(object, now),
      labelsCell(objectAt(spec(object), 'selector')),
    ];
  },
};

function externalIp(object: JsonObject): string {
  const given = stringsAt(spec(object), 'externalIPs');
  switch (stringAt(spec(object), 'type')) {
    case 'ClusterIP':
    case 'NodePort':
      return given.join(',') || '<none>';
    case 'LoadBalancer': {
      return [...balancerAddresses(object), ...given].join(',') || '<pending>';
    }
    case 'ExternalName':
      return stringAt(spec(object), 'externalName');
    default:
      return '<unknown>';
  }
}

export const endpoints: Printer = {
  columns: [NAME, text('Endpoints', 'Addresses that are ready.'), AGE],
  row: (object, now) => {
    const all = objectsAt(object, 'subsets').flatMap((subset) => {
      const ports = objectsAt(subset, 'ports');
      return objectsAt(subset, 'addresses').flatMap((address) =>
        ports.length === 0
          ? [stringAt(address, 'ip')]
          : ports.map((port) => `${stringAt(address, 'ip')}:${portCell(port)}`),
      );
    });
    const more = all.length > SHOWN ? ` + ${all.length - SHOWN} more...` : '';
    return [nameOf(object), `${all.slice(0, SHOWN).join(',')}${more}` || '<none>', ageOf(object, now)];
  },
};

export const endpointSlice: Printer = {
  columns: [
    NAME,
    text('AddressType', 'Kind of the addresses.'),
    text('Ports', 'Ports of the endpoints.'),
    text('Endpoints', 'Addresses of the endpoints.'),
    AGE,
  ],
  row: (object, now) => {
    const ports = objectsAt(object, 'ports').map((port) => portCell(port));
    const addresses = objectsAt(object, 'endpoints').flatMap((one) => stringsAt(one, 'addresses'));
    return [
      nameOf(object),
      stringAt(object, 'addressType'),
      shortened(ports),
      shortened(addresses),
      ageOf(object, now),
    ];
  },
};

export const ingress: Printer = {
  columns: [
    NAME,
    text('Class', 'Name of the class that says which controller acts on it.'),
    text('Hosts', 'Names that requests are sent to.'),
    text('Address', 'Where those names lead.'),
    text('Ports', 'Ports that are open.'),
    AGE,
  ],
  row: (object, now) => {
    const hosts = objectsAt(spec(object), 'rules')
      .map((rule) => stringAt(rule, 'host'))
      .filter((host) => host !== '');
    return [
      nameOf(object),
      orNone(stringAt(spec(object), 'ingressClassName')),
      hosts.length === 0 ? '*' : shortened(hosts),
      balancerAddresses(object).join(','),
      objectsAt(spec(object), 'tls').length > 0 ? '80, 443' : '80',
      ageOf(object, now),
    ];
  },
};

export const ingressClass: Printer = {
  columns: [
    NAME,
    text('Controller', 'Controller that acts on Ingresses of the class.'),
    text('Parameters', 'Object that configures the controller.'),
    AGE,
  ],
  row: (object, now) => {
    const parameters = objectAt(spec(object), 'parameters');
    const group = stringAt(parameters, 'apiGroup');
    const kind = `${stringAt(parameters, 'kind')}${group === '' ? '' : `.${group}`}`;
    return [
      nameOf(object),
      stringAt(spec(object), 'controller'),
      parameters === undefined ? '<none>' : `${kind}/${stringAt(parameters, 'name')}`,
      ageOf(object, now),
    ];
  },
};

export const networkPolicy: Printer = {
  columns: [NAME, text('Pod-Selector', 'Labels of the Pods that the policy is about.'), AGE],
  row: (object, now) => [
    nameOf(object),
    selectorCell(objectAt(spec(object), 'podSelector')),
    ageOf(object, now),
  ],
};

function balancerAddresses(object: JsonObject): string[] {
  return objectsAt(objectAt(status(object), 'loadBalancer'), 'ingress').map(
    (balancer) => stringAt(balancer, 'ip') || stringAt(balancer, 'hostname'),
  );
}

function shortened(list: readonly string[]): string {
  if (list.length === 0) return '<unset>';
  const more = list.length > SHOWN ? ` + ${list.length - SHOWN} more...` : '';
  return `${list.slice(0, SHOWN).join(',')}${more}`;
}

function portCell(port: JsonObject): string {
  return String(numberAt(port, 'port') ?? '*');
}
