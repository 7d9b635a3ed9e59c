import { CredentialError } from '../credential-error.ts';
import { readAzureConfig, type AzureConfig } from './azure/azure-config.ts';
import { federatedToken, managedIdentityToken } from './azure/directory-token.ts';
import { exchangeForRegistryToken } from './azure/registry-exchange.ts';
import type { CloudContext } from './cloud-request.ts';
import type { PluginRequest, PluginResponse } from './plugin-io.ts';

/** Protocol versions of this plug-in. */
export const ACR_PLUGIN_VERSIONS = ['v1', 'v1beta1', 'v1alpha1'] as const;

export interface AcrOptions {
  /** Path of `azure.json`. */
  readonly configPath: string;
  /** `--registry-mirror=src:dst,…`: prefixes whose images are authenticated elsewhere (rule 10.20). */
  readonly mirrors: ReadonlyMap<string, string>;
}

/** User name that goes with a refresh token (rule 10.16). */
const TOKEN_USER = '00000000-0000-0000-0000-000000000000';

const CACHE_DURATION_MS = 60 * 60_000;
const SUFFIXES = ['azurecr.io', 'azurecr.cn', 'azurecr.de', 'azurecr.us'];
const CLIENT_ANNOTATION = 'kubernetes.azure.com/acr-client-id';
const TENANT_ANNOTATION = 'kubernetes.azure.com/acr-tenant-id';

/** Reads `--registry-mirror`. @throws CredentialError `CLOUD_REFUSED` */
export function parseRegistryMirrors(text: string): Map<string, string> {
  const mirrors = new Map<string, string>();
  for (const pair of text.split(',').map((part) => part.trim())) {
    if (pair === '') continue;
    const [source = '', target = '', ...more] = pair.split(':');
    if (source === '' || target === '' || more.length > 0) {
      throw new CredentialError(
        'CLOUD_REFUSED',
        `Cannot read --registry-mirror "${pair}": expected source:target`,
      );
    }
    mirrors.set(source, target);
  }
  return mirrors;
}

/** Finds the registry that an image of ACR lies in (rule 10.15); undefined when it is none. */
export function acrLoginServer(image: string, registrySuffix: string): string | undefined {
  const standard = /^[a-zA-Z0-9]+\.azurecr\.(?:io|cn|de|us)(?=\/|$)/.exec(image)?.[0];
  if (standard !== undefined || registrySuffix === '') return standard;
  const host = image.split('/', 1)[0] ?? '';
  return host.includes(registrySuffix) ? host : undefined;
}

/**
 * Gets a login for Azure Container Registry: for the Pod's application, the managed identity or the service principal
 * (10.15–10.20).
 *
 * @throws CredentialError `CLOUD_REFUSED`
 */
export async function acrCredentials(
  request: PluginRequest,
  options: AcrOptions,
  context: CloudContext,
): Promise<PluginResponse> {
  const config = await readAzureConfig(context, options.configPath);
  const { target, mirrored } = applyMirror(request.image, options.mirrors);
  const server = acrLoginServer(target, config.registrySuffix);
  if (server === undefined) return { cacheKeyType: 'Registry', cacheDurationMs: 0, auth: new Map() };
  const auth = new Map<string, { username: string; password: string }>();
  const token = await registryToken(request, config, context, server);
  if (token !== undefined) {
    const login = { username: TOKEN_USER, password: token };
    auth.set(server, login);
    if (mirrored !== undefined) auth.set(mirrored, login);
  } else {
    const login = { username: config.clientId, password: config.clientSecret };
    for (const suffix of SUFFIXES) auth.set(`*.${suffix}`, login);
    if (config.registrySuffix !== '') auth.set(`*.${config.registrySuffix.replace(/^[.*]+/, '')}`, login);
    if (mirrored !== undefined) auth.set(mirrored, login);
  }
  // Sorted after the entries above, so that a pull ends with an anonymous attempt (rule 10.17).
  auth.set('*.azurecr.*', { username: '', password: '' });
  return { cacheKeyType: 'Registry', cacheDurationMs: CACHE_DURATION_MS, auth };
}

/** Undefined when the service principal itself is the login (rule 10.18). */
async function registryToken(
  request: PluginRequest,
  config: AzureConfig,
  context: CloudContext,
  server: string,
): Promise<string | undefined> {
  if (request.serviceAccountToken !== '') {
    const clientId = request.serviceAccountAnnotations.get(CLIENT_ANNOTATION) ?? '';
    const tenantId = request.serviceAccountAnnotations.get(TENANT_ANNOTATION) ?? '';
    if (clientId === '' || tenantId === '') {
      const missing = clientId === '' ? CLIENT_ANNOTATION : TENANT_ANNOTATION;
      throw new CredentialError(
        'CLOUD_REFUSED',
        `Cannot use the service account token: annotation "${missing}" is missing`,
      );
    }
    const workload = { clientId, tenantId, token: request.serviceAccountToken };
    const directoryToken = await federatedToken(context, config, workload);
    return exchangeForRegistryToken(context, server, directoryToken, tenantId);
  }
  if (config.useManagedIdentity) {
    return exchangeForRegistryToken(
      context,
      server,
      await managedIdentityToken(context, config),
      config.tenantId,
    );
  }
  if (config.clientId === '' || config.clientSecret === '') {
    throw new CredentialError(
      'CLOUD_REFUSED',
      'Cannot log in: azure.json names neither a managed identity nor a service principal',
    );
  }
  return undefined;
}

function applyMirror(
  image: string,
  mirrors: ReadonlyMap<string, string>,
): { target: string; mirrored: string | undefined } {
  for (const [source, target] of mirrors) {
    if (image === source || image.startsWith(`${source}/`)) {
      return { target: target + image.slice(source.length), mirrored: source };
    }
  }
  return { target: image, mirrored: undefined };
}
