import { CodedError } from '../base/coded-error.ts';

/**
 * What can go wrong between a pull and its credentials.
 *
 * - `BAD_JSON`, `BAD_BASE64`, `BAD_AUTH_FIELD`: the text of a docker config; the message is Go's, as users of a cluster know it
 * - `MALFORMED_SECRET`: a pull secret that fails the whole request (rule 6.19); the message is the kubelet's waiting reason (4.12)
 * - `BAD_PROVIDER_CONFIG`: the node must not start with this credential-provider configuration (9.1)
 * - `PROVIDER_FAILED`: a plug-in gave no usable answer (9.11)
 * - `BAD_CLIENT_CONFIG`: the login file of this user cannot be used
 * - `HELPER_FAILED`: a docker credential helper failed (6.27)
 * - `BAD_SECRET_REQUEST`: `create secret docker-registry` was asked for something impossible (7.5–7.8)
 * - `CLOUD_REFUSED`: a cloud service gave no credential
 */
export type CredentialErrorCode =
  | 'BAD_JSON'
  | 'BAD_BASE64'
  | 'BAD_AUTH_FIELD'
  | 'MALFORMED_SECRET'
  | 'BAD_PROVIDER_CONFIG'
  | 'PROVIDER_FAILED'
  | 'BAD_CLIENT_CONFIG'
  | 'HELPER_FAILED'
  | 'BAD_SECRET_REQUEST'
  | 'CLOUD_REFUSED';

/** Fails an action on credentials. Its message never holds a user's secret. */
export class CredentialError extends CodedError<CredentialErrorCode> {}
