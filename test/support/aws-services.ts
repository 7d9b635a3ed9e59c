import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { TestContext } from 'node:test';
import { localServer, type LocalAnswer, type SeenRequest } from './local-server.ts';

/** Keys that the service knows. */
export interface AwsIdentity {
  readonly secret: string;
  readonly sessionToken?: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt?: number;
}

/**
 * The AWS services that a login for ECR needs, as one local server that checks what those check: signature, scope, age and
 * session token of every signed request; the session of the metadata service; token and role of a web identity.
 */
export interface AwsServices {
  readonly url: string;
  readonly identities: Map<string, AwsIdentity>;
  /** Web identity token and role that belong together. */
  readonly webIdentities: Map<string, string>;
  /** Roles that signed callers may assume. */
  readonly roles: Set<string>;
  readonly containerToken: string;
  /** What GetAuthorizationToken answers; changed by tests. */
  authorization: unknown;
  region: string;
  /** One line for each request that was accepted or refused. */
  readonly log: string[];
}

/** Largest difference between a request's date and the clock. */
const MAX_SKEW_MS = 5 * 60_000;

const TARGETS: Readonly<Record<string, string>> = {
  'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken': 'ecr',
  'SpencerFrontendService.GetAuthorizationToken': 'ecr-public',
};

export async function awsServices(t: TestContext, now: () => number = Date.now): Promise<AwsServices> {
  const sessions = new Set<string>();
  const services = {
    identities: new Map<string, AwsIdentity>(),
    webIdentities: new Map<string, string>(),
    roles: new Set<string>(),
    containerToken: randomBytes(12).toString('hex'),
    authorization: undefined as unknown,
    region: 'eu-central-1',
    log: [] as string[],
  };
  const issue = (): { id: string; identity: Required<AwsIdentity> } => {
    const id = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const identity = {
      secret: randomBytes(20).toString('base64'),
      sessionToken: randomBytes(30).toString('base64'),
      expiresAt: now() + 3_600_000,
    };
    services.identities.set(id, identity);
    return { id, identity };
  };
  const keysAsJson = (): string => {
    const { id, identity } = issue();
    return JSON.stringify({
      Code: 'Success',
      AccessKeyId: id,
      SecretAccessKey: identity.secret,
      Token: identity.sessionToken,
      Expiration: new Date(identity.expiresAt).toISOString(),
    });
  };
  const metadata = (request: SeenRequest): LocalAnswer => {
    if (request.url === '/latest/api/token') {
      const ttl = Number(request.headers['x-aws-ec2-metadata-token-ttl-seconds']);
      if (request.method !== 'PUT' || !(ttl >= 1 && ttl <= 21_600)) return { status: 400 };
      const session = randomBytes(16).toString('base64');
      sessions.add(session);
      return { status: 200, body: session };
    }
    if (!sessions.has(request.headers['x-aws-ec2-metadata-token'] ?? '')) return { status: 401 };
    if (request.url === '/latest/meta-data/placement/region') return { status: 200, body: services.region };
    if (request.url === '/latest/meta-data/iam/security-credentials/')
      return { status: 200, body: 'node-role' };
    if (request.url === '/latest/meta-data/iam/security-credentials/node-role')
      return { status: 200, body: keysAsJson() };
    return { status: 404 };
  };
  const sts = (request: SeenRequest): LocalAnswer => {
    const form = new URLSearchParams(request.body);
    const role = form.get('RoleArn') ?? '';
    if (
      form.get('Version') !== '2011-06-15' ||
      !/^[\w+=,.@-]{2,64}$/.test(form.get('RoleSessionName') ?? '')
    ) {
      return stsError(400, 'ValidationError', 'version or session name');
    }
    if (form.get('Action') === 'AssumeRoleWithWebIdentity') {
      if (request.headers['authorization'] !== undefined)
        return stsError(400, 'ValidationError', 'must not be signed');
      if (services.webIdentities.get(form.get('WebIdentityToken') ?? '') !== role) {
        return stsError(403, 'InvalidIdentityToken', 'token & role do not belong together');
      }
    } else {
      const problem = verify(request, 'sts', services, now());
      if (problem !== undefined) return stsError(403, 'SignatureDoesNotMatch', problem);
      if (!services.roles.has(role)) return stsError(403, 'AccessDenied', `not authorized to assume ${role}`);
    }
    const { id, identity } = issue();
    return {
      status: 200,
      body: `<Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>${identity.secret}</SecretAccessKey><SessionToken>${identity.sessionToken}</SessionToken><Expiration>${new Date(identity.expiresAt).toISOString()}</Expiration></Credentials></Response>`,
    };
  };
  const ecr = (request: SeenRequest, service: string): LocalAnswer => {
    const problem = verify(request, service, services, now());
    if (problem === undefined) return { status: 200, body: JSON.stringify(services.authorization) };
    const body = JSON.stringify({ __type: 'com.amazonaws#InvalidSignatureException', message: problem });
    return { status: 403, body };
  };
  const route = (request: SeenRequest): LocalAnswer => {
    if (request.url.startsWith('/latest/')) return metadata(request);
    if (request.url === '/container') {
      const allowed = request.headers['authorization'] === services.containerToken;
      return allowed ? { status: 200, body: keysAsJson() } : { status: 403 };
    }
    const service = TARGETS[request.headers['x-amz-target'] ?? ''];
    if (request.method !== 'POST') return { status: 405 };
    return service === undefined ? sts(request) : ecr(request, service);
  };
  const url = await localServer(t, (request) => {
    const answer = route(request);
    const what =
      request.headers['x-amz-target'] ?? new URLSearchParams(request.body).get('Action') ?? request.url;
    services.log.push(`${request.method} ${what} ${answer.status}`);
    return answer;
  });
  return Object.assign(services, { url });
}

/** Recomputes the signature of a request from what arrived; returns what is wrong with it. */
function verify(
  request: SeenRequest,
  service: string,
  services: { identities: ReadonlyMap<string, AwsIdentity>; region: string },
  now: number,
): string | undefined {
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      request.headers['authorization'] ?? '',
    );
  if (parts === null) return 'authorization header is malformed';
  const [, id = '', day = '', region = '', scopeService = '', names = '', signature = ''] = parts;
  const identity = services.identities.get(id);
  if (identity === undefined) return 'unknown access key';
  const date = request.headers['x-amz-date'] ?? '';
  const sentAt = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  if (!(Math.abs(now - sentAt) <= MAX_SKEW_MS) || !date.startsWith(day)) return 'date is out of range';
  if (identity.expiresAt !== undefined && now > identity.expiresAt) return 'credentials are expired';
  if (scopeService !== service) return `scope is for ${scopeService}, expected ${service}`;
  const expectedRegion = service === 'ecr-public' ? 'us-east-1' : services.region;
  if (region !== expectedRegion) return `scope is for ${region}, expected ${expectedRegion}`;
  if (identity.sessionToken !== request.headers['x-amz-security-token']) return 'session token is wrong';
  const signed = names.split(';');
  for (const must of [
    'host',
    'x-amz-date',
    ...(identity.sessionToken === undefined ? [] : ['x-amz-security-token']),
  ]) {
    if (!signed.includes(must)) return `header ${must} is not signed`;
  }
  const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
  const canonical = [
    request.method,
    request.url.split('?', 1)[0],
    (request.url.split('?')[1] ?? '').split('&').sort().join('&'),
    ...signed.map((name) => `${name}:${(request.headers[name] ?? '').trim()}`),
    '',
    names,
    hash(request.body),
  ].join('\n');
  let key: Buffer = Buffer.from(`AWS4${identity.secret}`);
  for (const part of [day, region, service, 'aws4_request'])
    key = createHmac('sha256', key).update(part).digest();
  const text = `AWS4-HMAC-SHA256\n${date}\n${day}/${region}/${service}/aws4_request\n${hash(canonical)}`;
  const expected = createHmac('sha256', key).update(text).digest();
  return timingSafeEqual(expected, Buffer.from(signature, 'hex')) ? undefined : 'signature does not match';
}

function stsError(status: number, code: string, message: string): LocalAnswer {
  const escaped = message.replaceAll('&', '&amp;');
  return {
    status,
    body: `<ErrorResponse><Error><Code>${code}</Code><Message>${escaped}</Message></Error></ErrorResponse>`,
  };
}
