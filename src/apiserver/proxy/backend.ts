import { BlockList, isIP } from 'node:net';
import { goQuote } from '../../base/go-quote.ts';
import { kubeletBaseUrl } from '../../kube/client/kubelet-endpoint.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { Pod } from '../../kube/pod.ts';
import type { GroupResource } from '../../kube/status.ts';
import { badRequest, notFound, plainError, serviceUnavailable } from '../../kube/status.ts';
import { coreResource, type ApiCall, type ApiContext } from '../api-call.ts';
import { parseSchemeNamePort, type SchemeNamePort } from './scheme-name-port.ts';

/** What a request is passed on to. */
export interface Backend {
  /** `http://HOST:PORT` */
  readonly origin: string;
  /** The Node whose own endpoint this is: it is checked by its certificate, and shown ours. Others are neither. */
  readonly node?: KubeObject;
}

interface NodeObject extends KubeObject {
  readonly status?: { readonly addresses?: readonly { readonly type: string; readonly address: string }[] };
}

/** Addresses that are nobody's in particular, or this machine's: upstream's proxy reaches none of them. */
const PRIVATE = new BlockList();
PRIVATE.addSubnet('127.0.0.0', 8);
PRIVATE.addSubnet('169.254.0.0', 16);
PRIVATE.addSubnet('224.0.0.0', 4);
PRIVATE.addAddress('0.0.0.0');
PRIVATE.addAddress('255.255.255.255');
PRIVATE.addAddress('::', 'ipv6');
PRIVATE.addAddress('::1', 'ipv6');
PRIVATE.addSubnet('fe80::', 10, 'ipv6');
PRIVATE.addSubnet('ff00::', 8, 'ipv6');

/**
 * Finds where the object of a `proxy` path is reached.
 *
 * @throws StatusError when its name makes no sense, it is not there, or it has no address
 */
export function findBackend(context: ApiContext, call: ApiCall): Backend {
  const { resource, name } = call.request;
  const meant = parseSchemeNamePort(name);
  if (meant === undefined) throw badRequest(`invalid ${call.resource.singular} request ${goQuote(name)}`);
  switch (resource) {
    case 'nodes':
      return nodeBackend(context, meant);
    case 'services':
      return serviceBackend(context, call, meant);
    default:
      return podBackend(context, call, meant);
  }
}

function podBackend(context: ApiContext, call: ApiCall, meant: SchemeNamePort): Backend {
  const pod = get(context, call.resource, call.request.namespace, meant.name) as Pod;
  const port = meant.port === '' ? firstPort(pod) : meant.port;
  const { podIP = '' } = (pod.status ?? {}) as { podIP?: string };
  // Pods here share their node's address, which on one machine may be that of its loopback.
  const node = context.store.get({ resource: 'nodes', namespace: '', name: pod.spec.nodeName ?? '' })?.object;
  if (!isReachable(podIP) && !(isIP(podIP) !== 0 && addressesOf(node).includes(podIP))) throw notAllowed();
  return { origin: originOf(meant.scheme, podIP, port) };
}

function nodeBackend(context: ApiContext, meant: SchemeNamePort): Backend {
  const node = get(context, coreResource('nodes'), '', meant.name) as NodeObject;
  const base = kubeletBaseUrl(node);
  if (base === undefined)
    throw plainError(`error dialing backend: node ${goQuote(meant.name)} has no endpoint`);
  const { hostname, port } = new URL(base);
  if (meant.port === '' || meant.port === port) return { origin: base, node };
  const host = hostname.replaceAll(/[[\]]/g, '');
  if (isIP(host) !== 0 && !isReachable(host)) throw notAllowed();
  return { origin: originOf(meant.scheme, host, meant.port) };
}

interface ServiceObject extends KubeObject {
  readonly spec?: { readonly ports?: readonly { readonly name?: string; readonly port: number }[] };
}

interface EndpointAddress {
  readonly ip: string;
  readonly targetRef?: { readonly kind?: string; readonly name?: string; readonly namespace?: string };
}

interface EndpointsObject extends KubeObject {
  readonly subsets?: readonly {
    readonly addresses?: readonly EndpointAddress[];
    readonly ports?: readonly { readonly name?: string; readonly port: number }[];
  }[];
}

function serviceBackend(context: ApiContext, call: ApiCall, meant: SchemeNamePort): Backend {
  const { namespace, name } = call.request;
  const portName = nameOfPort(context, call, meant);
  const endpoints = get(context, coreResource('endpoints'), namespace, meant.name) as EndpointsObject;
  const subsets = endpoints.subsets ?? [];
  for (const { addresses = [], ports = [] } of subsets) {
    const port = ports.find((candidate) => (candidate.name ?? '') === portName)?.port;
    if (port === undefined) continue;
    const address = addresses.find((candidate) => isPodAddress(context, namespace, candidate));
    if (address !== undefined) return { origin: originOf(meant.scheme, address.ip, String(port)) };
  }
  const asked = subsets.length === 0 ? meant.name : name;
  throw serviceUnavailable(`no endpoints available for service ${goQuote(asked)}`);
}

/** A number means the port of the Service with that number; endpoints know it by its name. */
function nameOfPort(context: ApiContext, call: ApiCall, { name, port }: SchemeNamePort): string {
  if (!/^\d+$/.test(port)) return port;
  const service = get(context, call.resource, call.request.namespace, name) as ServiceObject;
  const found = service.spec?.ports?.find((candidate) => candidate.port === Number(port));
  if (found === undefined) {
    throw serviceUnavailable(`no service port ${Number(port)} found for service ${goQuote(name)}`);
  }
  return found.name ?? '';
}

/** Endpoints may be written by whoever may use a namespace: only what is a Pod's own address is believed. */
function isPodAddress(context: ApiContext, namespace: string, { ip, targetRef }: EndpointAddress): boolean {
  if (targetRef?.kind !== 'Pod' || targetRef.namespace !== namespace) return false;
  const key = { resource: 'pods', namespace, name: targetRef.name ?? '' };
  const pod = context.store.get(key)?.object as Pod | undefined;
  const { podIP, podIPs = [] } = (pod?.status ?? {}) as { podIP?: string; podIPs?: { ip: string }[] };
  return podIP === ip || podIPs.some((each) => each.ip === ip);
}

function get(context: ApiContext, resource: GroupResource, namespace: string, name: string): KubeObject {
  const found = context.store.get({ resource: resource.resource, namespace, name })?.object;
  if (found === undefined) throw notFound(resource, name);
  return found;
}

function firstPort({ spec }: Pod): string {
  const container = spec.containers.find(({ ports }) => (ports ?? []).length > 0);
  const port = (container?.ports as readonly { containerPort: number }[] | undefined)?.[0]?.containerPort;
  return port === undefined ? '' : String(port);
}

function addressesOf(node: NodeObject | undefined): string[] {
  return (node?.status?.addresses ?? []).map(({ address }) => address);
}

function isReachable(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && !PRIVATE.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

function notAllowed(): Error {
  return badRequest('address not allowed');
}

/** @throws StatusError 400 when the port cannot be one */
function originOf(scheme: string, host: string, port: string): string {
  if (port !== '' && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) {
    throw serviceUnavailable(`error trying to reach service: dial tcp: lookup tcp/${port}: unknown port`);
  }
  const name = isIP(host) === 6 ? `[${host}]` : host;
  return `${scheme}://${name}${port === '' ? '' : `:${port}`}`;
}
