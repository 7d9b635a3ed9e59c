import { CredentialError } from '../credential-error.ts';
import { goJsonObject, goJsonStringify, type DockerConfig } from '../docker-config.ts';
import { decodeDuration } from './provider-config.ts';
import { parseTyped, StrictDecoder } from './_strict-json.ts';

/** What a plug-in is asked (rule 9.9). */
export interface ProviderRequest {
  /** Normalised repository without tag or digest. */
  readonly image: string;
  readonly serviceAccountToken?: string;
  readonly serviceAccountAnnotations?: ReadonlyMap<string, string>;
}

/** What a plug-in answers (rule 9.10). */
export interface ProviderResponse {
  /** `Image`, `Registry` or `Global`; anything else is for the caller to refuse (9.11). */
  readonly cacheKeyType: string;
  /** Milliseconds; undefined: the configured default. */
  readonly cacheDurationMs: number | undefined;
  readonly auth: DockerConfig;
}

const GROUP = 'credentialprovider.kubelet.k8s.io/';

/** Prints the request in the wire form of `apiVersion`; only v1 knows service accounts. */
export function encodeProviderRequest(apiVersion: string, request: ProviderRequest): string {
  const fields = ['"kind":"CredentialProviderRequest"', `"apiVersion":${goJsonStringify(apiVersion)}`];
  fields.push(`"image":${goJsonStringify(request.image)}`);
  if (apiVersion === `${GROUP}v1`) {
    if (request.serviceAccountToken !== undefined && request.serviceAccountToken !== '') {
      fields.push(`"serviceAccountToken":${goJsonStringify(request.serviceAccountToken)}`);
    }
    const annotations = [...(request.serviceAccountAnnotations ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    if (annotations.length > 0) fields.push(`"serviceAccountAnnotations":${goJsonObject(annotations)}`);
  }
  return `{${fields.join(',')}}\n`;
}

/**
 * Reads a plug-in's answer strictly.
 *
 * @throws CredentialError `PROVIDER_FAILED` with the texts of rule 9.11; never with anything out of the answer's `auth`
 */
export function decodeProviderResponse(expected: string, stdout: string | Uint8Array): ProviderResponse {
  const typed = attempt(() => parseTyped(stdout));
  if (typed === undefined) {
    // The kubelet adds its JSON error here, which can quote a byte of the answer.
    throw new CredentialError('PROVIDER_FAILED', 'error reading GVK from response: answer is no JSON');
  }
  if (typed.apiVersion !== expected) {
    const versions = `expected apiVersion:${expected}, actual apiVersion:${printableVersion(typed.apiVersion)}`;
    throw new CredentialError(
      'PROVIDER_FAILED',
      `apiVersion from credential plugin response did not match ${versions}`,
    );
  }
  const response = typed.kind === 'CredentialProviderResponse' ? attempt(() => decode(typed.top)) : undefined;
  if (response === undefined) {
    throw new CredentialError(
      'PROVIDER_FAILED',
      'error decoding credential provider plugin response from stdout',
    );
  }
  return response;
}

function decode(top: Parameters<StrictDecoder['object']>[0]): ProviderResponse {
  const decoder = new StrictDecoder();
  const fields = ['kind', 'apiVersion', 'cacheKeyType', 'cacheDuration', 'auth'];
  const response = decoder.object(top, '', 'CredentialProviderResponse', fields);
  const auth = new Map<string, { username: string; password: string; email: string }>();
  const answered = response.get('auth');
  if (answered !== undefined && answered.kind !== 'null') {
    if (answered.kind !== 'object') throw new CredentialError('BAD_JSON', 'auth is no object');
    for (const [key, value] of answered.members) {
      const entry = decoder.object(value, 'auth', 'AuthConfig', ['username', 'password']);
      if (auth.has(key)) throw new CredentialError('BAD_JSON', 'auth has a duplicate field');
      auth.set(key, {
        username: decoder.string(entry.get('username'), 'username'),
        password: decoder.string(entry.get('password'), 'password'),
        email: '',
      });
    }
  }
  const cacheKeyType = decoder.string(response.get('cacheKeyType'), 'cacheKeyType');
  const cacheDurationMs = decodeDuration(decoder, response.get('cacheDuration'), 'cacheDuration');
  decoder.finish();
  return { cacheKeyType, cacheDurationMs, auth };
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    // The reason is withheld on purpose: it may quote a credential.
    return undefined;
  }
}

/** A version is shown only when it looks like one: a broken plug-in may print anything there. */
function printableVersion(apiVersion: string): string {
  return /^[a-z0-9.-]{1,100}(?:\/[a-z0-9]{1,20})?$/.test(apiVersion) ? apiVersion : '';
}
