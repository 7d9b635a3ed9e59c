import { randomInt } from 'node:crypto';
import { isIP } from 'node:net';
import { invalidValue } from '../kube/field-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { invalid } from '../kube/status.ts';
import type { AdmissionPlugin } from './admission-chain.ts';
import type { ObjectStore } from './object-store.ts';

/** Addresses of Services, as kube-apiserver's usual range: 10.96.0.0/12. Nothing routes to them here. */
const FIRST_ADDRESS = 10 * 2 ** 24 + 96 * 2 ** 16;
const ADDRESSES = 2 ** 20;
/** Ports of nodes that Services may be given. */
const FIRST_NODE_PORT = 30_000;
const LAST_NODE_PORT = 32_767;
/** Draws before the whole range is looked through. */
const DRAWS = 64;

/** The Service through which Pods of any cluster find its API. */
export const API_SERVICE_ADDRESS = '10.96.0.1';

interface Port {
  port: number;
  protocol?: string;
  nodePort?: number;
}

interface Service extends KubeObject {
  spec?: {
    type?: string;
    clusterIP?: string;
    clusterIPs?: string[];
    ipFamilies?: string[];
    ipFamilyPolicy?: string;
    ports?: Port[];
    allocateLoadBalancerNodePorts?: boolean;
  };
}

/** Gives Services the addresses and ports that are theirs, as the API's storage does; they keep them for life. */
export function serviceAddresses(store: ObjectStore): AdmissionPlugin {
  return {
    name: 'ServiceAddresses',
    admit: ({ resource, subresource, operation, object, oldObject }) => {
      const isService = resource.group === '' && resource.resource === 'services' && subresource === '';
      if (!isService || object === undefined || (operation !== 'CREATE' && operation !== 'UPDATE')) return;
      const service = object as Service;
      if (service.spec === undefined) return;
      const old: Service | undefined = oldObject;
      if (service.spec.type === 'ExternalName') {
        delete service.spec.clusterIP;
        delete service.spec.clusterIPs;
        return;
      }
      keepOld(service, old);
      giveAddress(store, service);
      givePorts(store, service);
    },
  };
}

/** An update that leaves out what the server gave means to keep it. */
function keepOld({ spec }: Service, old: Service | undefined): void {
  const before = old?.spec;
  if (spec === undefined || before === undefined || before.type === 'ExternalName') return;
  if ((spec.clusterIP ?? '') === '' && before.clusterIP !== undefined) {
    spec.clusterIP = before.clusterIP;
    if (before.clusterIPs !== undefined) spec.clusterIPs = before.clusterIPs;
  }
  for (const port of spec.ports ?? []) {
    const same = before.ports?.find((each) => each.port === port.port && each.protocol === port.protocol);
    if ((port.nodePort ?? 0) === 0 && same?.nodePort !== undefined && wantsNodePorts(spec)) {
      port.nodePort = same.nodePort;
    }
  }
}

function giveAddress(store: ObjectStore, { spec, metadata }: Service): void {
  if (spec === undefined) return;
  const given = spec.clusterIP ?? spec.clusterIPs?.[0] ?? '';
  const address = given === '' ? freeAddress(store) : given;
  const isNew = given !== '' && given !== 'None' && isIP(given) !== 0;
  if (isNew) {
    const owner = services(store).find(
      (other) =>
        other.spec?.clusterIP === given &&
        (other.metadata.name !== metadata.name || other.metadata.namespace !== metadata.namespace),
    );
    if (owner !== undefined) {
      throw invalid({ group: '', kind: 'Service' }, metadata.name, [
        invalidValue(
          'spec.clusterIPs',
          [given],
          `failed to allocate IP ${given}: provided IP is already allocated`,
        ),
      ]);
    }
  }
  spec.clusterIP = address;
  spec.clusterIPs ??= [address];
  spec.ipFamilies ??= [isIP(address) === 6 ? 'IPv6' : 'IPv4'];
  spec.ipFamilyPolicy ??= 'SingleStack';
}

function freeAddress(store: ObjectStore): string {
  const taken = new Set(services(store).map(({ spec }) => spec?.clusterIP));
  const at = (index: number): string => {
    const value = FIRST_ADDRESS + index;
    return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
  };
  // Neither the range's own name nor its end, nor the API's address.
  for (let draw = 0; draw < DRAWS; draw++) {
    const address = at(randomInt(2, ADDRESSES - 1));
    if (!taken.has(address)) return address;
  }
  for (let index = 2; index < ADDRESSES - 1; index++) if (!taken.has(at(index))) return at(index);
  throw new Error('Cannot give a Service an address: the range is full');
}

function wantsNodePorts(spec: NonNullable<Service['spec']>): boolean {
  if (spec.type === 'NodePort') return true;
  return spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false;
}

function givePorts(store: ObjectStore, { spec, metadata }: Service): void {
  if (spec === undefined || !wantsNodePorts(spec)) return;
  const taken = new Map<number, string>();
  for (const other of services(store)) {
    const key = `${other.metadata.namespace ?? ''}/${other.metadata.name}`;
    for (const { nodePort = 0 } of other.spec?.ports ?? []) if (nodePort !== 0) taken.set(nodePort, key);
  }
  const own = `${metadata.namespace ?? ''}/${metadata.name}`;
  for (const [index, port] of (spec.ports ?? []).entries()) {
    const wanted = port.nodePort ?? 0;
    const refuse = (why: string): Error =>
      invalid({ group: '', kind: 'Service' }, metadata.name, [
        invalidValue(`spec.ports[${index}].nodePort`, wanted, why),
      ]);
    if (wanted === 0) port.nodePort = freePort(taken);
    else if (wanted < FIRST_NODE_PORT || wanted > LAST_NODE_PORT) {
      throw refuse(
        `provided port is not in the valid range. The range of valid ports is ${FIRST_NODE_PORT}-${LAST_NODE_PORT}`,
      );
    } else if (taken.has(wanted) && taken.get(wanted) !== own)
      throw refuse('provided port is already allocated');
    taken.set(port.nodePort ?? 0, own);
  }
}

function freePort(taken: ReadonlyMap<number, string>): number {
  for (let draw = 0; draw < DRAWS; draw++) {
    const port = randomInt(FIRST_NODE_PORT, LAST_NODE_PORT + 1);
    if (!taken.has(port)) return port;
  }
  for (let port = FIRST_NODE_PORT; port <= LAST_NODE_PORT; port++) if (!taken.has(port)) return port;
  throw new Error('Cannot give a Service a port: the range is full');
}

function services(store: ObjectStore): readonly Service[] {
  return store.list('services').items.map(({ object }) => object as Service);
}
