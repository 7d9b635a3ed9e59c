import { messageOf } from '../../base/coded-error.ts';
import { parseGoDuration } from '../../base/go-duration.ts';
import { CredentialError } from '../credential-error.ts';
import { parseDockercfg } from '../docker-config.ts';
import { answerObject, answerText, cloudRequest, isSafeOrigin, type CloudContext } from './cloud-request.ts';
import { authOf, type PluginRequest, type PluginResponse } from './plugin-io.ts';

/** Protocol versions of this plug-in. */
export const GCR_PLUGIN_VERSIONS = ['v1', 'v1beta1', 'v1alpha1'] as const;

export const GCR_AUTH_FLOWS = ['gcr', 'dockercfg', 'dockercfg-url'] as const;

export interface GcrOptions {
  /** Default `gcr` (rule 10.7). */
  readonly authFlow: (typeof GCR_AUTH_FLOWS)[number];
  /** Workload identity pool provider; with it `projectId` is required (rule 10.12). */
  readonly identityProvider?: string;
  readonly projectId?: string;
}

const METADATA_TIMEOUT_MS = 10_000;
const STS_TIMEOUT_MS = 30_000;
const ATTEMPTS = 3;

/** Registries of Google that one token opens (rule 10.9). */
const REGISTRIES = ['container.cloud.google.com', 'gcr.io', '*.gcr.io', '*.pkg.dev'];

const OPT_IN_ANNOTATION = 'iam.gke.io/enable-wi-image-pull';

type Auth = Map<string, { username: string; password: string }>;

/**
 * Gets a login for Google's registries from the metadata server or for a workload identity (10.7–10.13). A source that
 * fails gives an empty answer and a warning: the pull goes on without this plug-in (10.11, 10.12).
 *
 * @throws CredentialError `CLOUD_REFUSED` for a command line that cannot work
 */
export async function gcrCredentials(
  request: PluginRequest,
  options: GcrOptions,
  context: CloudContext,
): Promise<PluginResponse> {
  const { identityProvider = '', projectId = '' } = options;
  if (identityProvider !== '' && projectId === '') {
    throw new CredentialError('CLOUD_REFUSED', 'Cannot use --identity-provider: --project-id is missing');
  }
  const optedIn = request.serviceAccountAnnotations.get(OPT_IN_ANNOTATION) === 'true';
  const read = (): Promise<Auth> => {
    if (identityProvider !== '' && optedIn) {
      return workloadIdentity(request, { identityProvider, projectId }, context);
    }
    if (options.authFlow === 'gcr') return metadataToken(request, context);
    return metadataDockercfg(options.authFlow, context);
  };
  const auth = await read().catch((error: unknown): Auth => {
    context.signal.throwIfAborted();
    context.warn(messageOf(error));
    return new Map();
  });
  return { cacheKeyType: cacheKeyTypeOf(context), cacheDurationMs: cacheDurationOf(context), auth };
}

async function metadataToken(request: PluginRequest, context: CloudContext): Promise<Auth> {
  const account = 'instance/service-accounts/default';
  const token = answerText(answerObject(await metadata(context, `${account}/token`)), 'access_token');
  if (token === undefined)
    throw refuse('Cannot read the token of the metadata server: it holds no access_token');
  // Asked as a proof that the instance has an account at all; a node without one answers 404.
  await metadata(context, `${account}/email`);
  return forGoogle(request.image, token);
}

async function metadataDockercfg(flow: 'dockercfg' | 'dockercfg-url', context: CloudContext): Promise<Auth> {
  const attribute = await metadata(context, `instance/attributes/google-${flow}`);
  const text = flow === 'dockercfg' ? attribute : await fetchDockercfg(attribute.trim(), context);
  return authOf(parseDockercfg(text));
}

async function fetchDockercfg(url: string, context: CloudContext): Promise<string> {
  if (!/^https?:\/\//.test(url)) throw refuse('Cannot read google-dockercfg-url: it is no http or https URL');
  const answer = await cloudRequest(context, url, { timeoutMs: METADATA_TIMEOUT_MS, attempts: ATTEMPTS });
  if (answer.status !== 200)
    throw refuse(`Cannot read google-dockercfg-url: the server answers ${answer.status}`);
  return answer.text;
}

async function metadata(context: CloudContext, path: string): Promise<string> {
  const host = context.environment['GCE_METADATA_HOST'] ?? '';
  const url = `http://${host === '' ? 'metadata.google.internal.' : host}/computeMetadata/v1/${path}`;
  const answer = await cloudRequest(context, url, {
    headers: { 'metadata-flavor': 'Google' },
    timeoutMs: METADATA_TIMEOUT_MS,
    attempts: ATTEMPTS,
  });
  if (answer.status !== 200)
    throw refuse(`Cannot read "${path}": the metadata server answers ${answer.status}`);
  return answer.text;
}

async function workloadIdentity(
  request: PluginRequest,
  pool: { identityProvider: string; projectId: string },
  context: CloudContext,
): Promise<Auth> {
  if (request.serviceAccountToken === '')
    throw refuse('Cannot use workload identity: the request carries no token');
  const override = context.environment['CLOUDSDK_API_ENDPOINT_OVERRIDES_STS'] ?? '';
  const base = override === '' ? 'https://sts.googleapis.com/' : override;
  if (!isSafeOrigin(base))
    throw refuse('Cannot use workload identity: the token service is not asked over https');
  const answer = await cloudRequest(context, `${base.replace(/\/+$/, '')}/v1/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      grantType: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: `identitynamespace:${pool.projectId}.svc.id.goog:${pool.identityProvider}`,
      scope: 'https://www.googleapis.com/auth/cloud-platform',
      requestedTokenType: 'urn:ietf:params:oauth:token-type:access_token',
      subjectToken: request.serviceAccountToken,
      subjectTokenType: 'urn:ietf:params:oauth:token-type:jwt',
    }),
    timeoutMs: STS_TIMEOUT_MS,
    attempts: ATTEMPTS,
  });
  const body = answerObject(answer.text);
  const token = answerText(body, 'access_token');
  if (answer.status !== 200 || token === undefined) {
    const why =
      answerText(body, 'error_description') ?? answerText(body, 'error') ?? `status ${answer.status}`;
    throw refuse(`Cannot exchange the service account token: ${why}`);
  }
  return forGoogle(request.image, token);
}

function forGoogle(image: string, password: string): Auth {
  const login = { username: '_token', password };
  return new Map([image.split('/', 1)[0] ?? '', ...REGISTRIES].map((pattern) => [pattern, login]));
}

function cacheKeyTypeOf(context: CloudContext): PluginResponse['cacheKeyType'] {
  const configured = context.environment['KUBE_SIDECAR_CACHE_TYPE'] ?? '';
  const types = new Map([
    ['', 'Image'],
    ['image', 'Image'],
    ['registry', 'Registry'],
    ['global', 'Global'],
  ] as const);
  const type = types.get(configured.toLowerCase() as '');
  if (type === undefined) context.warn(`KUBE_SIDECAR_CACHE_TYPE is "${configured}": using image`);
  return type ?? 'Image';
}

function cacheDurationOf(context: CloudContext): number {
  const configured = context.environment['KUBE_SIDECAR_CACHE_DURATION'] ?? '';
  if (configured === '') return 0;
  try {
    return Math.max(0, parseGoDuration(configured));
  } catch (error) {
    context.warn(`KUBE_SIDECAR_CACHE_DURATION is not used: ${messageOf(error)}`);
    return 0;
  }
}

function refuse(message: string): CredentialError {
  return new CredentialError('CLOUD_REFUSED', message);
}
