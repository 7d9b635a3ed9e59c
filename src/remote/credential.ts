/**
 * What a registry client may present to one registry host. The `name` says where it came from
 * (`Secret team-a/regcred`, `/root/.docker/config.json`) and is the only part that may be printed.
 */
export interface Credential {
  readonly name: string;
  readonly username?: string;
  readonly password?: string;
  /** OAuth2 refresh token (docker's identity token): exchanged at the token service. */
  readonly identityToken?: string;
  /** Bearer token used as it is. */
  readonly registryToken?: string;
}

/** Finds the credential to present to `host` (host[:port] of the registry that the image names); undefined: anonymous. */
export type CredentialSource = (host: string, repository: string) => Promise<Credential | undefined>;
