import { CredentialError } from '../credential-error.ts';
import { awsCredentials } from './aws/credential-chain.ts';
import { awsEndpoint } from './aws/endpoints.ts';
import { InstanceMetadata } from './aws/instance-metadata.ts';
import { assumeRoleWithWebIdentity } from './aws/security-token-service.ts';
import { readAwsSharedConfig, type AwsSharedConfig } from './aws/shared-config.ts';
import { signAwsRequest, type AwsCredentials } from './aws/sigv4.ts';
import { answerObject, answerText, cloudRequest, type CloudContext } from './cloud-request.ts';
import type { PluginRequest, PluginResponse } from './plugin-io.ts';

/** Protocol versions of this plug-in (rule 10.6). */
export const ECR_PLUGIN_VERSIONS = ['v1'] as const;

const PUBLIC_HOSTS: ReadonlySet<string> = new Set(['public.ecr.aws', 'ecr-public.aws.com']);

/** ECR Public answers in this region only (rule 10.3). */
const PUBLIC_REGION = 'us-east-1';

/** One request, in milliseconds (rule 10.3). */
const TIMEOUT_MS = 30_000;
const ATTEMPTS = 3;

const PRIVATE_HOST =
  /^\d{12}\.dkr[.-]ecr(-fips)?\.([a-zA-Z0-9][a-zA-Z0-9_-]*)\.(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn|sc2s\.sgov\.gov|c2s\.ic\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)$/;

const ROLE_ANNOTATION = 'eks.amazonaws.com/ecr-role-arn';
const ROLE_SESSION = 'ecr-credential-provider';

/** Reads account host names of private repositories (rule 10.2); undefined for any other host. */
export function parseEcrHost(host: string): { region: string; fips: boolean } | undefined {
  const match = PRIVATE_HOST.exec(host);
  return match === null ? undefined : { region: match[2] ?? '', fips: match[1] !== undefined };
}

/**
 * Gets a login for Amazon ECR, private or public (10.2–10.5).
 *
 * @throws CredentialError `CLOUD_REFUSED`
 */
export async function ecrCredentials(request: PluginRequest, context: CloudContext): Promise<PluginResponse> {
  const host = hostOf(request.image);
  const shared = await readAwsSharedConfig(context);
  const metadata = new InstanceMetadata(context);
  const isPublic = PUBLIC_HOSTS.has(host);
  const parsed = parseEcrHost(host);
  const region = isPublic
    ? PUBLIC_REGION
    : (parsed?.region ?? (await defaultRegion(context, shared, metadata)));
  const sources = { context, shared, metadata, region: isPublic ? await stsRegion(context, shared) : region };
  const credentials = (await roleCredentials(request, sources)) ?? (await awsCredentials(sources));
  const service = isPublic ? 'ecr-public' : 'ecr';
  const endpoint = awsEndpoint(context, service, region, {
    fips: parsed?.fips === true,
    profile: shared.profileNamed(shared.profile),
  });
  const authorization = await getAuthorizationToken(context, { service, region, endpoint }, credentials);
  const login = decodeToken(authorization.token);
  return {
    cacheKeyType: 'Registry',
    cacheDurationMs: cacheDurationOf(authorization.expiresAt, context.clock.now()),
    auth: new Map([[host, login]]),
  };
}

/** Exchanges the Pod's token for its role (rule 10.5); undefined: the node's own credentials are meant. */
async function roleCredentials(
  request: PluginRequest,
  { context, shared, region }: { context: CloudContext; shared: AwsSharedConfig; region: string },
): Promise<AwsCredentials | undefined> {
  if (request.serviceAccountToken === '') return undefined;
  const annotated = request.serviceAccountAnnotations.get(ROLE_ANNOTATION) ?? '';
  const roleArn = annotated === '' ? (context.environment['AWS_ECR_ROLE_ARN'] ?? '') : annotated;
  if (roleArn === '') return undefined;
  const profile = shared.profileNamed(shared.profile);
  const endpoint = awsEndpoint(context, 'sts', region, { fips: false, profile });
  const role = { roleArn, sessionName: ROLE_SESSION };
  return assumeRoleWithWebIdentity(context, endpoint, role, request.serviceAccountToken);
}

function configuredRegion(context: CloudContext, shared: AwsSharedConfig): string {
  const { environment } = context;
  const named = environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION'] ?? '';
  return named === '' ? (shared.profileNamed(shared.profile)?.get('region') ?? '') : named;
}

async function defaultRegion(
  context: CloudContext,
  shared: AwsSharedConfig,
  metadata: InstanceMetadata,
): Promise<string> {
  const configured = configuredRegion(context, shared);
  return configured === '' ? metadata.region() : configured;
}

/** The token service is asked where the node is; ECR Public's own region serves when that is not configured. */
async function stsRegion(context: CloudContext, shared: AwsSharedConfig): Promise<string> {
  const configured = configuredRegion(context, shared);
  return configured === '' ? PUBLIC_REGION : configured;
}

async function getAuthorizationToken(
  context: CloudContext,
  target: { service: 'ecr' | 'ecr-public'; region: string; endpoint: string },
  credentials: AwsCredentials,
): Promise<{ token: string; expiresAt: number | undefined }> {
  const api = target.service === 'ecr' ? 'AmazonEC2ContainerRegistry_V20150921' : 'SpencerFrontendService';
  const unsigned = {
    method: 'POST',
    url: target.endpoint,
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `${api}.GetAuthorizationToken`,
    },
    body: '{}',
    service: target.service,
    region: target.region,
  } as const;
  const answer = await cloudRequest(context, target.endpoint, {
    method: 'POST',
    headers: signAwsRequest(unsigned, credentials, context.clock.now()),
    body: unsigned.body,
    timeoutMs: TIMEOUT_MS,
    attempts: ATTEMPTS,
  });
  const body = answerObject(answer.text);
  if (answer.status !== 200) {
    const type = answerText(body, '__type')?.split('#').at(-1);
    const message = answerText(body, 'message') ?? answerText(body, 'Message') ?? 'no message';
    const why = type === undefined ? `status ${answer.status}` : `${type}: ${message}`;
    throw new CredentialError(
      'CLOUD_REFUSED',
      `Cannot get an authorization token from ${target.service} in ${target.region} with credentials from ${credentials.source}: ${why}`,
    );
  }
  const data = body?.get('authorizationData');
  const first: unknown = Array.isArray(data) ? data[0] : data;
  if (typeof first !== 'object' || first === null) throw refuse('authorization data was empty');
  const fields = new Map(Object.entries(first));
  const token = fields.get('authorizationToken');
  if (typeof token !== 'string' || token === '') throw refuse('authorization token in response was nil');
  const expires = fields.get('expiresAt');
  return { token, expiresAt: typeof expires === 'number' ? expires * 1000 : undefined };
}

/** Splits base64 of `user:password` at the first colon (rule 10.4). */
function decodeToken(token: string): { username: string; password: string } {
  const decoded = Buffer.from(token, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 0) throw refuse('error parsing username and password from authorization token');
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

/** Half of what is left, in whole seconds; nothing left leaves it to the node, no expiry is not to be cached (rule 10.4). */
function cacheDurationOf(expiresAt: number | undefined, now: number): number | undefined {
  if (expiresAt === undefined) return 0;
  const left = Math.floor((expiresAt - now) / 1000);
  return left <= 0 ? undefined : Math.floor(left / 2) * 1000;
}

function hostOf(image: string): string {
  const registry = image.split('/', 1)[0] ?? '';
  return registry.replace(/:\d+$/, '');
}

function refuse(message: string): CredentialError {
  return new CredentialError('CLOUD_REFUSED', message);
}
