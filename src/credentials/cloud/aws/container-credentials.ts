import { CredentialError } from '../../credential-error.ts';
import { answerObject, cloudRequest, isSafeOrigin, type CloudContext } from '../cloud-request.ts';
import { awsCredentialsOf } from './instance-metadata.ts';
import type { AwsCredentials } from './sigv4.ts';

const TIMEOUT_MS = 5_000;
const ATTEMPTS = 3;

/** Hosts of the container agents of ECS and EKS, which may be asked over plain HTTP. */
const AGENT_HOSTS: ReadonlySet<string> = new Set(['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]']);

/** Tells whether the environment names a container credentials endpoint. */
export function hasContainerCredentials(context: CloudContext): boolean {
  return (
    (context.environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'] ?? '') !== '' ||
    (context.environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? '') !== ''
  );
}

/**
 * Asks the endpoint that ECS or EKS Pod Identity gives a container.
 *
 * @throws CredentialError `CLOUD_REFUSED`; also for a plain HTTP endpoint that is neither an agent's nor on this machine
 */
export async function containerCredentials(context: CloudContext): Promise<AwsCredentials> {
  const { environment } = context;
  const relative = environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'] ?? '';
  const url =
    relative === ''
      ? (environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'] ?? '')
      : `http://169.254.170.2${relative}`;
  if (!URL.canParse(url)) throw refuse('AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL');
  if (!isSafeOrigin(url) && !AGENT_HOSTS.has(new URL(url).hostname)) {
    throw refuse(
      `host "${new URL(url).hostname}" is asked over plain HTTP and is neither an agent nor this machine`,
    );
  }
  const tokenFile = environment['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'] ?? '';
  const token =
    tokenFile === ''
      ? (environment['AWS_CONTAINER_AUTHORIZATION_TOKEN'] ?? '')
      : (await context.readFile(tokenFile)).trim();
  if (/[\r\n]/.test(token)) throw refuse('the authorization token holds a line end');
  const answer = await cloudRequest(context, url, {
    headers: { accept: 'application/json', ...(token !== '' && { authorization: token }) },
    timeoutMs: TIMEOUT_MS,
    attempts: ATTEMPTS,
  });
  if (answer.status !== 200) throw refuse(`the endpoint answers ${answer.status}`);
  return awsCredentialsOf(answerObject(answer.text), 'container credentials endpoint');
}

function refuse(why: string): CredentialError {
  return new CredentialError('CLOUD_REFUSED', `Cannot use container credentials: ${why}`);
}
