/*
 * What the API server asks of a node's own HTTPS endpoint. Paths and parameters are the kubelet's:
 *
 *   GET /containerLogs/NAMESPACE/POD/CONTAINER?follow=true&previous=true&timestamps=true
 *                                             &tailLines=N&limitBytes=N&sinceSeconds=N&sinceTime=RFC3339&stream=All|Stdout|Stderr
 *       200 text/plain: log lines as they were written, chunked while followed
 *       400 text/plain: `container "a" in pod "p" is waiting to start: …`
 *       404 text/plain: `container "a" in pod "p" is not available`
 *   GET|POST /exec/NAMESPACE/POD/CONTAINER?command=A&command=B&input=1&output=1&error=1&tty=1      (upgrade)
 *   GET|POST /attach/NAMESPACE/POD/CONTAINER?input=1&output=1&error=1&tty=1                        (upgrade)
 *   GET|POST /portForward/NAMESPACE/POD?port=N                                                     (upgrade)
 *
 * The server is reached at an address of `status.addresses` (InternalIP, ExternalIP, then Hostname) and the port in
 * `status.daemonEndpoints.kubeletEndpoint.Port`. Its certificate is signed by the cluster's CA for that address; it asks
 * for a client certificate of the same CA and serves only users in `system:masters` or `kubeadm:cluster-admins`, as the
 * API server's own client certificate is.
 *
 * A node that has no certificate of the cluster says in an annotation of its Node who signed its own: only the node itself, and whoever
 * administers the cluster, can write there.
 */

export interface ContainerLogOptions {
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly timestamps?: boolean;
  /** Lines from the end; absent: all. */
  readonly tailLines?: number;
  readonly limitBytes?: number;
  readonly sinceSeconds?: number;
  /** RFC 3339. */
  readonly sinceTime?: string;
  readonly stream?: string;
}

/** Returns path and query under which a node serves the log of one container. */
export function containerLogPath(
  namespace: string,
  pod: string,
  container: string,
  options: ContainerLogOptions,
): string {
  const query = new URLSearchParams();
  for (const name of ['follow', 'previous', 'timestamps'] as const)
    if (options[name] === true) query.set(name, 'true');
  for (const name of ['tailLines', 'limitBytes', 'sinceSeconds', 'sinceTime', 'stream'] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, String(value));
  }
  const path = ['containerLogs', namespace, pod, container].map(encodeURIComponent).join('/');
  const text = query.toString();
  return `/${path}${text === '' ? '' : `?${text}`}`;
}

/** Names the annotation of a Node with the certificate, PEM, of the authority that signed its endpoint's. */
export const ENDPOINT_AUTHORITY = 'drayage.dev/endpoint-authority';

/** Returns whom to believe when a node's endpoint is asked: the authority that the node names, else the cluster's. */
export function endpointAuthority(
  node: { readonly metadata: { readonly annotations?: Readonly<Record<string, string>> } },
  cluster: string,
): string {
  return node.metadata.annotations?.[ENDPOINT_AUTHORITY] ?? cluster;
}

interface NodeStatus {
  readonly addresses?: readonly { readonly type: string; readonly address: string }[];
  readonly daemonEndpoints?: { readonly kubeletEndpoint?: { readonly Port: number } };
}

/** Returns the base URL of a node's endpoint from its Node object; `undefined` when the node has not said it yet. */
export function kubeletBaseUrl(node: { readonly status?: NodeStatus }): string | undefined {
  const port = node.status?.daemonEndpoints?.kubeletEndpoint?.Port;
  const addresses = node.status?.addresses ?? [];
  const address = ['InternalIP', 'ExternalIP', 'Hostname']
    .map((type) => addresses.find((candidate) => candidate.type === type)?.address)
    .find((candidate) => candidate !== undefined && candidate !== '');
  if (port === undefined || port === 0 || address === undefined) return undefined;
  return `https://${address.includes(':') ? `[${address}]` : address}:${port}`;
}
