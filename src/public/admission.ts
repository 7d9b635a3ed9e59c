/** Pull-policy defaulting and image admission as Kubernetes decides them, pure, each with its trace. */
export * from '../admission/pull-policy.ts';
export * from '../admission/pod-template.ts';
export * from '../admission/always-pull-images.ts';
export * from '../admission/service-account.ts';
