import { CredentialError } from '../../credential-error.ts';
import type { CloudContext } from '../cloud-request.ts';
import { containerCredentials, hasContainerCredentials } from './container-credentials.ts';
import { awsEndpoint } from './endpoints.ts';
import type { InstanceMetadata } from './instance-metadata.ts';
import { assumeRole, assumeRoleWithWebIdentity, type RoleRequest } from './security-token-service.ts';
import type { AwsProfile, AwsSharedConfig } from './shared-config.ts';
import type { AwsCredentials } from './sigv4.ts';

export interface AwsSources {
  readonly context: CloudContext;
  readonly shared: AwsSharedConfig;
  readonly metadata: InstanceMetadata;
  /** For the token service. */
  readonly region: string;
}

/**
 * Finds credentials as AWS's own programs do: the profile that the environment names; keys in the environment; a web identity
 * token in the environment; the default profile; the container's endpoint; the instance's metadata.
 *
 * @throws CredentialError `CLOUD_REFUSED` when the first source that is configured gives none: a later one is not tried,
 * since it would act as somebody else
 */
export async function awsCredentials(sources: AwsSources): Promise<AwsCredentials> {
  const { shared, context } = sources;
  if (shared.explicit) {
    const profile = shared.profileNamed(shared.profile);
    if (profile === undefined) throw refuse(`profile "${shared.profile}" is not configured`);
    return fromProfile(sources, shared.profile, profile, []);
  }
  const fromKeys = environmentKeys(context);
  if (fromKeys !== undefined) return fromKeys;
  const tokenFile = context.environment['AWS_WEB_IDENTITY_TOKEN_FILE'] ?? '';
  if (tokenFile !== '') {
    const roleArn = context.environment['AWS_ROLE_ARN'] ?? '';
    if (roleArn === '') throw refuse('AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not');
    return webIdentity(sources, tokenFile, { roleArn, sessionName: sessionName(context) }, undefined);
  }
  const profile = shared.profileNamed(shared.profile);
  if (profile !== undefined && isUsable(profile)) return fromProfile(sources, shared.profile, profile, []);
  if (hasContainerCredentials(context)) return containerCredentials(context);
  return sources.metadata.credentials();
}

function environmentKeys({ environment }: CloudContext): AwsCredentials | undefined {
  const accessKeyId = environment['AWS_ACCESS_KEY_ID'] ?? environment['AWS_ACCESS_KEY'] ?? '';
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY'] ?? environment['AWS_SECRET_KEY'] ?? '';
  if (accessKeyId === '' || secretAccessKey === '') return undefined;
  const sessionToken = environment['AWS_SESSION_TOKEN'] ?? '';
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken !== '' && { sessionToken }),
    source: 'environment',
  };
}

function isUsable(profile: AwsProfile): boolean {
  return ['aws_access_key_id', 'role_arn', 'credential_process', 'sso_session', 'sso_start_url'].some(
    (name) => profile.has(name),
  );
}

/** @param visited profiles that led here: one that leads back to itself is refused */
async function fromProfile(
  sources: AwsSources,
  name: string,
  profile: AwsProfile,
  visited: readonly string[],
): Promise<AwsCredentials> {
  const roleArn = profile.get('role_arn') ?? '';
  const sourceProfile = profile.get('source_profile') ?? '';
  // A profile may name itself as source of its role: then its own keys are meant.
  if (roleArn !== '' && !visited.includes(name)) {
    const role: RoleRequest = {
      roleArn,
      sessionName: profile.get('role_session_name') ?? sessionName(sources.context),
      ...optional('externalId', profile.get('external_id')),
      ...optional('durationSeconds', numberOf(profile.get('duration_seconds'))),
    };
    const tokenFile = profile.get('web_identity_token_file') ?? '';
    if (tokenFile !== '') return webIdentity(sources, tokenFile, role, profile);
    const base = await roleSource(sources, name, profile, sourceProfile, [...visited, name]);
    const endpoint = awsEndpoint(sources.context, 'sts', sources.region, { fips: false, profile });
    return assumeRole(sources.context, endpoint, sources.region, role, base);
  }
  const accessKeyId = profile.get('aws_access_key_id') ?? '';
  const secretAccessKey = profile.get('aws_secret_access_key') ?? '';
  if (accessKeyId !== '' && secretAccessKey !== '') {
    const sessionToken = profile.get('aws_session_token');
    return {
      accessKeyId,
      secretAccessKey,
      ...optional('sessionToken', sessionToken),
      source: `profile ${name}`,
    };
  }
  const command = profile.get('credential_process') ?? '';
  if (command !== '') {
    // Loaded only here: other sources start no process.
    const { credentialProcess } = await import('./credential-process.ts');
    return credentialProcess(sources.context, command, name);
  }
  if (profile.has('sso_session') || profile.has('sso_start_url')) {
    throw refuse(
      `profile "${name}" signs in by SSO, which needs a person: use keys, a role or credential_process`,
    );
  }
  if (visited.includes(name)) throw refuse(`profile "${name}" leads back to itself`);
  throw refuse(`profile "${name}" holds none`);
}

async function roleSource(
  sources: AwsSources,
  name: string,
  profile: AwsProfile,
  sourceProfile: string,
  visited: readonly string[],
): Promise<AwsCredentials> {
  if (sourceProfile !== '') {
    const source = sources.shared.profileNamed(sourceProfile);
    if (source === undefined)
      throw refuse(`profile "${name}" names "${sourceProfile}", which is not configured`);
    return fromProfile(sources, sourceProfile, source, visited);
  }
  const from = profile.get('credential_source') ?? '';
  if (from === 'Ec2InstanceMetadata') return sources.metadata.credentials();
  if (from === 'EcsContainer') return containerCredentials(sources.context);
  if (from === 'Environment') {
    const keys = environmentKeys(sources.context);
    if (keys !== undefined) return keys;
    throw refuse(`profile "${name}" takes them from the environment, which holds none`);
  }
  throw refuse(`profile "${name}" has a role and no source for it`);
}

async function webIdentity(
  sources: AwsSources,
  tokenFile: string,
  role: RoleRequest,
  profile: AwsProfile | undefined,
): Promise<AwsCredentials> {
  const token = (await sources.context.readFile(tokenFile)).trim();
  const endpoint = awsEndpoint(sources.context, 'sts', sources.region, { fips: false, profile });
  return assumeRoleWithWebIdentity(sources.context, endpoint, role, token);
}

function sessionName(context: CloudContext): string {
  const configured = context.environment['AWS_ROLE_SESSION_NAME'] ?? '';
  return configured === '' ? `drayage-${context.clock.now()}` : configured;
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

function refuse(why: string): CredentialError {
  return new CredentialError('CLOUD_REFUSED', `Cannot find AWS credentials: ${why}`);
}
