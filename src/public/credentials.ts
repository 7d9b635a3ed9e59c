/** Which credentials a node would try for an image, and why: docker configs, keyring, pull secrets, credential providers. */
export * from '../credentials/candidates.ts';
export * from '../credentials/credential-error.ts';
export * from '../credentials/credential-hash.ts';
export * from '../credentials/docker-config.ts';
export * from '../credentials/docker-registry-secret.ts';
export * from '../credentials/keyring.ts';
export * from '../credentials/node-files.ts';
export * from '../credentials/pull-secrets.ts';
export * from '../credentials/registry-pattern.ts';
