import { CredentialError } from '../../credential-error.ts';
import { cloudRequest, type CloudAnswer, type CloudContext } from '../cloud-request.ts';
import { signAwsRequest, type AwsCredentials } from './sigv4.ts';

const TIMEOUT_MS = 30_000;
const ATTEMPTS = 3;

/** A role to take on. */
export interface RoleRequest {
  readonly roleArn: string;
  readonly sessionName: string;
  readonly externalId?: string;
  readonly durationSeconds?: number;
}

/** Exchanges a token of an identity provider for credentials; needs no others. @throws CredentialError `CLOUD_REFUSED` */
export async function assumeRoleWithWebIdentity(
  context: CloudContext,
  endpoint: string,
  role: RoleRequest,
  token: string,
): Promise<AwsCredentials> {
  const body = form('AssumeRoleWithWebIdentity', role, { WebIdentityToken: token });
  const answer = await cloudRequest(context, endpoint, {
    method: 'POST',
    headers: { 'content-type': FORM_TYPE },
    body,
    timeoutMs: TIMEOUT_MS,
    attempts: ATTEMPTS,
  });
  return credentialsOf(answer, 'AssumeRoleWithWebIdentity', role);
}

/** Takes on a role with other credentials. @throws CredentialError `CLOUD_REFUSED` */
export async function assumeRole(
  context: CloudContext,
  endpoint: string,
  region: string,
  role: RoleRequest,
  credentials: AwsCredentials,
): Promise<AwsCredentials> {
  const request = {
    method: 'POST',
    url: endpoint,
    headers: { 'content-type': FORM_TYPE },
    body: form('AssumeRole', role, {}),
    service: 'sts',
    region,
  } as const;
  const answer = await cloudRequest(context, endpoint, {
    method: 'POST',
    headers: signAwsRequest(request, credentials, context.clock.now()),
    body: request.body,
    timeoutMs: TIMEOUT_MS,
    attempts: ATTEMPTS,
  });
  return credentialsOf(answer, 'AssumeRole', role);
}

const FORM_TYPE = 'application/x-www-form-urlencoded; charset=utf-8';

function form(action: string, role: RoleRequest, more: Readonly<Record<string, string>>): string {
  return new URLSearchParams({
    Action: action,
    Version: '2011-06-15',
    RoleArn: role.roleArn,
    RoleSessionName: role.sessionName,
    ...(role.externalId !== undefined && { ExternalId: role.externalId }),
    ...(role.durationSeconds !== undefined && { DurationSeconds: String(role.durationSeconds) }),
    ...more,
  }).toString();
}

function credentialsOf(answer: CloudAnswer, action: string, role: RoleRequest): AwsCredentials {
  const accessKeyId = element(answer.text, 'AccessKeyId');
  const secretAccessKey = element(answer.text, 'SecretAccessKey');
  const sessionToken = element(answer.text, 'SessionToken');
  if (answer.status !== 200 || accessKeyId === '' || secretAccessKey === '' || sessionToken === '') {
    const code = element(answer.text, 'Code');
    const message = element(answer.text, 'Message');
    const why = code === '' ? `STS answers ${answer.status}` : `${code}: ${message}`;
    throw new CredentialError('CLOUD_REFUSED', `Cannot assume role "${role.roleArn}" (${action}): ${why}`);
  }
  const expiresAt = Date.parse(element(answer.text, 'Expiration'));
  return {
    accessKeyId,
    secretAccessKey,
    sessionToken,
    ...(!Number.isNaN(expiresAt) && { expiresAt }),
    source: `role ${role.roleArn}`,
  };
}

/** Returns the text of the first element of that name; STS answers hold each of ours once and nest none of them. */
function element(xml: string, name: string): string {
  const open = xml.indexOf(`<${name}>`);
  const close = open < 0 ? -1 : xml.indexOf(`</${name}>`, open);
  if (close < 0) return '';
  return xml
    .slice(open + name.length + 2, close)
    .replaceAll(/&(lt|gt|quot|apos|amp);/g, (_, entity: string) => ENTITIES[entity] ?? '');
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
