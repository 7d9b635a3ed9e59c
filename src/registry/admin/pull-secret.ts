/** A Kubernetes Secret of type `kubernetes.io/dockerconfigjson`, as plain JSON. */
export interface PullSecret {
  readonly apiVersion: 'v1';
  readonly kind: 'Secret';
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly type: 'kubernetes.io/dockerconfigjson';
  readonly data: { readonly '.dockerconfigjson': string };
}

/** Makes the Secret by which a namespace's Pods pull from a registry; its form is what `kubectl create secret docker-registry` makes. */
export function pullSecretFor(options: {
  readonly name: string;
  readonly namespace?: string;
  /** `host[:port]` of the registry, as image names begin. */
  readonly registry: string;
  readonly account: string;
  readonly secret: string;
}): PullSecret {
  const { account: username, secret: password } = options;
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  const config = JSON.stringify({ auths: { [options.registry]: { username, password, auth } } });
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: options.name,
      ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
    },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': Buffer.from(config).toString('base64') },
  };
}
