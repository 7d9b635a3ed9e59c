import { CredentialError } from '../../credential-error.ts';
import { answerObject, answerText, cloudRequest, type CloudContext } from '../cloud-request.ts';
import type { AwsCredentials } from './sigv4.ts';

/** The metadata service answers from the same machine: waiting longer only delays the next source. */
const TIMEOUT_MS = 5_000;
const ATTEMPTS = 3;

/** How long a session with the metadata service lasts, in seconds; the most it grants. */
const SESSION_SECONDS = 21_600;

/**
 * The EC2 instance metadata service, version 2 only: a session token is required, so that a request that a container was
 * tricked into sending gets nothing.
 */
export class InstanceMetadata {
  readonly #context: CloudContext;
  readonly #base: string;
  #session: Promise<string> | undefined;

  constructor(context: CloudContext) {
    const { environment } = context;
    const v6 = environment['AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE']?.toLowerCase() === 'ipv6';
    const configured = environment['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? '';
    const endpoint =
      configured !== '' ? configured : v6 ? 'http://[fd00:ec2::254]' : 'http://169.254.169.254';
    this.#context = context;
    this.#base = endpoint.replace(/\/+$/, '');
  }

  /** @throws CredentialError `CLOUD_REFUSED` */
  async credentials(): Promise<AwsCredentials> {
    const path = '/latest/meta-data/iam/security-credentials/';
    const role = (await this.#get(path)).split('\n', 1)[0]?.trim() ?? '';
    if (role === '') throw refuse('the instance has no role');
    const text = await this.#get(path + encodeURIComponent(role));
    const answer = answerObject(text);
    const code = answerText(answer, 'Code');
    if (code !== undefined && code !== 'Success') throw refuse(`role "${role}" answers ${code}`);
    return awsCredentialsOf(answer, 'EC2 instance metadata');
  }

  /** Returns the region that the instance is in. */
  async region(): Promise<string> {
    return (await this.#get('/latest/meta-data/placement/region')).trim();
  }

  async #get(path: string): Promise<string> {
    if (this.#context.environment['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') {
      throw refuse('AWS_EC2_METADATA_DISABLED is set');
    }
    this.#session ??= this.#startSession();
    const answer = await cloudRequest(this.#context, this.#base + path, {
      headers: { 'x-aws-ec2-metadata-token': await this.#session },
      timeoutMs: TIMEOUT_MS,
      attempts: ATTEMPTS,
    });
    if (answer.status !== 200) throw refuse(`GET ${path} answers ${answer.status}`);
    return answer.text;
  }

  async #startSession(): Promise<string> {
    const answer = await cloudRequest(this.#context, `${this.#base}/latest/api/token`, {
      method: 'PUT',
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': String(SESSION_SECONDS) },
      timeoutMs: TIMEOUT_MS,
      attempts: ATTEMPTS,
    });
    if (answer.status !== 200) throw refuse(`a session is refused with ${answer.status}`);
    return answer.text.trim();
  }
}

/** Reads credentials in the JSON form that metadata services and helpers share. */
export function awsCredentialsOf(
  answer: ReadonlyMap<string, unknown> | undefined,
  source: string,
): AwsCredentials {
  const accessKeyId = answerText(answer, 'AccessKeyId');
  const secretAccessKey = answerText(answer, 'SecretAccessKey');
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new CredentialError(
      'CLOUD_REFUSED',
      `Cannot read credentials from ${source}: the answer holds no keys`,
    );
  }
  const sessionToken = answerText(answer, 'Token') ?? answerText(answer, 'SessionToken');
  const expiresAt = Date.parse(answerText(answer, 'Expiration') ?? '');
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken !== undefined && { sessionToken }),
    ...(!Number.isNaN(expiresAt) && { expiresAt }),
    source,
  };
}

function refuse(why: string): CredentialError {
  return new CredentialError('CLOUD_REFUSED', `Cannot use the EC2 instance metadata service: ${why}`);
}
