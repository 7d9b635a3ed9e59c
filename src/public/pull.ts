/** Registry client, pull and push. */
export * from '../remote/remote-client.ts';
export * from '../remote/remote-error.ts';
export * from '../remote/bandwidth.ts';
export * from '../remote/hosts/create-host-resolver.ts';
export type * from '../remote/credential.ts';
export * from '../images/sqlite-image-store.ts';
export * from '../pull/pull-image.ts';
export type * from '../pull/download-queue.ts';
export type * from '../pull/progress.ts';
export * from '../pull/pull-error.ts';
export * from '../pull/push-image.ts';
export type * from '../pull/image-service.ts';
