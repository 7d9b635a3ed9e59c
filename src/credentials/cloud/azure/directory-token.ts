import { CredentialError } from '../../credential-error.ts';
import {
  answerObject,
  answerText,
  cloudRequest,
  isSafeOrigin,
  type CloudAnswer,
  type CloudContext,
} from '../cloud-request.ts';
import { authorityOf, type AzureConfig } from './azure-config.ts';

/** What a token for registries is asked for (rule 10.16). */
const REGISTRY_RESOURCE = 'https://containerregistry.azure.net';

const TIMEOUT_MS = 60_000;
const ATTEMPTS = 3;

/** Gets a directory token for the machine's managed identity from the instance metadata service. @throws CredentialError */
export async function managedIdentityToken(context: CloudContext, config: AzureConfig): Promise<string> {
  const base = context.environment['AZURE_POD_IDENTITY_AUTHORITY_HOST'] ?? 'http://169.254.169.254';
  const query = new URLSearchParams({ 'api-version': '2018-02-01', resource: REGISTRY_RESOURCE });
  const identity = config.userAssignedIdentity;
  if (identity !== '') query.set(identity.includes('/') ? 'msi_res_id' : 'client_id', identity);
  const url = `${base.replace(/\/+$/, '')}/metadata/identity/oauth2/token?${query.toString()}`;
  const answer = await cloudRequest(context, url, {
    headers: { metadata: 'true' },
    timeoutMs: TIMEOUT_MS,
    attempts: ATTEMPTS,
  });
  return tokenOf(answer, 'the managed identity');
}

/** Exchanges a service account token for a directory token of the workload's application (rule 10.19). @throws CredentialError */
export async function federatedToken(
  context: CloudContext,
  config: AzureConfig,
  workload: { clientId: string; tenantId: string; token: string },
): Promise<string> {
  const authority = authorityOf(context, config);
  if (!isSafeOrigin(authority)) {
    throw new CredentialError(
      'CLOUD_REFUSED',
      'Cannot use the authority of AZURE_AUTHORITY_HOST: it is not asked over https',
    );
  }
  const url = `${authority}${encodeURIComponent(workload.tenantId)}/oauth2/v2.0/token`;
  const answer = await cloudRequest(context, url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: workload.clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: workload.token,
      scope: `${REGISTRY_RESOURCE}/.default`,
    }).toString(),
    timeoutMs: TIMEOUT_MS,
    attempts: ATTEMPTS,
  });
  return tokenOf(answer, `application ${workload.clientId}`);
}

function tokenOf(answer: CloudAnswer, whose: string): string {
  const body = answerObject(answer.text);
  const token = answerText(body, 'access_token');
  if (answer.status === 200 && token !== undefined) return token;
  const why = answerText(body, 'error_description') ?? answerText(body, 'error') ?? `status ${answer.status}`;
  throw new CredentialError(
    'CLOUD_REFUSED',
    `Cannot get a directory token for ${whose}: ${why.split(/\r?\n/, 1)[0] ?? ''}`,
  );
}
