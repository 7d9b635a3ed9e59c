import type { ApiContext } from './api-call.ts';
import type { TokenAuthenticator } from './authentication.ts';
import type { Authorizer } from './authorizer.ts';
import type { Component } from './component-status.ts';
import type { RbacAuthorizer } from './rbac-authorizer.ts';
import type { ServedResources } from './served-resources.ts';
import type { ServiceAccountTokens } from './service-account-tokens.ts';

/** What the verbs need besides storage and admission: subresources and reviews ask about tokens and rights. */
export interface RouterContext extends ApiContext {
  readonly tokens: ServiceAccountTokens;
  readonly authorizer: Authorizer;
  readonly rbac: RbacAuthorizer;
  readonly served: ServedResources;
  /** What ComponentStatus tells of beside the storage. */
  readonly components: readonly Component[];
  /** Recognise bearer tokens, for whoever reviews one. */
  readonly authenticators?: readonly TokenAuthenticator[];
}
