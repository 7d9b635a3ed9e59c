import { createHash, createHmac } from 'node:crypto';

/*
 * Signature Version 4 for requests with a body in memory. A request is reduced to a canonical text:
 *
 *   method \n path \n query \n headers \n \n signed-header-names \n sha256(body)
 *
 * whose digest is signed with a key derived from the secret, the day, the region and the service.
 * @see AWS General Reference, "Create a signed AWS API request"
 */

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** Milliseconds since the epoch; undefined: long-lived. */
  readonly expiresAt?: number;
  /** Where they came from, for messages. */
  readonly source: string;
}

export interface AwsRequest {
  readonly method: string;
  readonly url: string;
  /** Without host, date, token and authorization, which signing adds. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly service: string;
  readonly region: string;
}

/** Returns the headers to send: those given and `x-amz-date`, `x-amz-security-token`, `authorization`. `now` in milliseconds. */
export function signAwsRequest(
  request: AwsRequest,
  credentials: AwsCredentials,
  now: number,
): Record<string, string> {
  const date = `${new Date(now).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
  const headers: Record<string, string> = { ...request.headers, 'x-amz-date': date };
  if (credentials.sessionToken !== undefined) headers['x-amz-security-token'] = credentials.sessionToken;
  const signed = { ...headers, host: new URL(request.url).host };
  const scope = `${date.slice(0, 8)}/${request.region}/${request.service}/aws4_request`;
  const { text, names } = canonicalRequest(request.method, request.url, signed, request.body);
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(text)].join('\n');
  const signature = createHmac('sha256', signingKey(credentials.secretAccessKey, scope))
    .update(toSign)
    .digest('hex');
  headers['authorization'] =
    `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return headers;
}

/** Reduces a request to the text that is signed; also what a verifier computes. */
export function canonicalRequest(
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
): { text: string; names: string } {
  const { pathname, searchParams } = new URL(url);
  const lower = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value.trim().replaceAll(/ +/g, ' ')] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const names = lower.map(([name]) => name).join(';');
  const query = [...searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const path = pathname
    .split('/')
    .map((part) => encode(part))
    .join('/');
  const lines = [
    method,
    path,
    query,
    ...lower.map(([name, value]) => `${name}:${value}`),
    '',
    names,
    sha256(body),
  ];
  return { text: lines.join('\n'), names };
}

/** Derives the key for one day, region and service from a secret. */
export function signingKey(secret: string, scope: string): Buffer {
  let key = Buffer.from(`AWS4${secret}`, 'utf8');
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest();
  return key;
}

function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (char) => `%${(char.codePointAt(0) ?? 0).toString(16).toUpperCase()}`,
  );
}
