import { isDeepStrictEqual } from 'node:util';
import { newUid } from '../kube/names.ts';
import type { KubeObject } from '../kube/object.ts';
import { formatTime } from '../kube/time.ts';
import type { ObjectStore } from './object-store.ts';
import { API_SERVICE_ADDRESS } from './service-addresses.ts';

const NAME = 'kubernetes';

/**
 * Sees to it that the Service `kubernetes` and its Endpoints exist, as on any cluster, and name where the API is
 * reached now.
 */
export function publishApiService(store: ObjectStore, now: number, host: string, port: number): void {
  const labels = { 'endpointslice.kubernetes.io/skip-mirror': 'true' };
  const ports = [{ name: 'https', port, protocol: 'TCP' }];
  put(store, now, 'services', {
    kind: 'Service',
    apiVersion: 'v1',
    metadata: { name: NAME, labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      clusterIP: API_SERVICE_ADDRESS,
      clusterIPs: [API_SERVICE_ADDRESS],
      internalTrafficPolicy: 'Cluster',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: port }],
      sessionAffinity: 'None',
      type: 'ClusterIP',
    },
    status: { loadBalancer: {} },
  } as KubeObject);
  put(store, now, 'endpoints', {
    kind: 'Endpoints',
    apiVersion: 'v1',
    metadata: { name: NAME, labels },
    subsets: [{ addresses: [{ ip: host }], ports }],
  } as KubeObject);
  put(store, now, 'endpointslices.discovery.k8s.io', {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: { name: NAME, labels: { 'kubernetes.io/service-name': NAME }, generation: 1 },
    addressType: host.includes(':') ? 'IPv6' : 'IPv4',
    endpoints: [{ addresses: [host], conditions: { ready: true } }],
    ports,
  } as KubeObject);
}

function put(store: ObjectStore, now: number, resource: string, wanted: KubeObject): void {
  const key = { resource, namespace: 'default', name: NAME };
  const found = store.get(key);
  if (found === undefined) {
    const metadata = {
      ...wanted.metadata,
      namespace: 'default',
      uid: newUid(),
      creationTimestamp: formatTime(now),
    };
    store.create(key, { ...wanted, metadata });
    return;
  }
  const next = { ...wanted, metadata: found.object.metadata };
  if (!isDeepStrictEqual(next, found.object)) store.update(key, found.revision, next);
}
