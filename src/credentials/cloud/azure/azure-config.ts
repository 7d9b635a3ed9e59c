import { CredentialError } from '../../credential-error.ts';
import { answerObject, answerText, type CloudContext } from '../cloud-request.ts';

/** What `azure.json` says that the plug-in needs. */
export interface AzureConfig {
  readonly cloud: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly useManagedIdentity: boolean;
  /** Client ID or resource ID of a user-assigned identity; empty: the system-assigned one. */
  readonly userAssignedIdentity: string;
  /** Domain of registries in a cloud of one's own, such as `azurecr.local`; empty when there is none. */
  readonly registrySuffix: string;
}

const LOGIN_HOSTS: Readonly<Record<string, string>> = {
  AZURECHINACLOUD: 'https://login.chinacloudapi.cn/',
  AZUREUSGOVERNMENT: 'https://login.microsoftonline.us/',
  AZUREUSGOVERNMENTCLOUD: 'https://login.microsoftonline.us/',
};

/** Reads `azure.json` and, for a cloud of one's own, the file that `AZURE_ENVIRONMENT_FILEPATH` names. @throws CredentialError */
export async function readAzureConfig(context: CloudContext, path: string): Promise<AzureConfig> {
  const config = await readJson(context, path);
  const environmentFile = context.environment['AZURE_ENVIRONMENT_FILEPATH'] ?? '';
  const own = environmentFile === '' ? undefined : await readJson(context, environmentFile);
  const text = (name: string): string => answerText(config, name) ?? '';
  const managed = config.get('useManagedIdentityExtension');
  return {
    cloud: text('cloud'),
    tenantId: text('tenantId'),
    clientId: text('aadClientId'),
    clientSecret: text('aadClientSecret'),
    useManagedIdentity: managed === true || managed === 'true',
    userAssignedIdentity: text('userAssignedIdentityID'),
    registrySuffix: answerText(own, 'containerRegistryDNSSuffix') ?? '',
  };
}

/** Returns where tokens of the tenant's directory are issued. */
export function authorityOf(context: CloudContext, config: AzureConfig): string {
  const configured = context.environment['AZURE_AUTHORITY_HOST'] ?? '';
  if (configured !== '') return configured.endsWith('/') ? configured : `${configured}/`;
  const cloud = config.cloud.toUpperCase();
  return (
    (Object.hasOwn(LOGIN_HOSTS, cloud) ? LOGIN_HOSTS[cloud] : undefined) ??
    'https://login.microsoftonline.com/'
  );
}

async function readJson(context: CloudContext, path: string): Promise<ReadonlyMap<string, unknown>> {
  const text = await context.readFile(path).catch((error: unknown) => {
    throw new CredentialError('CLOUD_REFUSED', `Cannot read "${path}": it is missing or unreadable`, {
      cause: error,
    });
  });
  const value = answerObject(text);
  if (value === undefined)
    throw new CredentialError('CLOUD_REFUSED', `Cannot read "${path}": it is no JSON object`);
  return value;
}
