/** A client for any Kubernetes API, and the embedded API server. */
export * from '../kube/client/http-kube-client.ts';
export * from '../kube/client/informer.ts';
export * from '../kube/client/kube-api-error.ts';
export * from '../kube/client/kubeconfig.ts';
export type * from '../kube/client/kube-client.ts';
export * from '../apiserver/api-server.ts';
