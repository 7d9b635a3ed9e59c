import { CredentialError } from '../credential-error.ts';
import { goJsonObject, goJsonStringify, type DockerConfig } from '../docker-config.ts';
import { formatGoDuration } from '../../base/go-duration.ts';

/** What a node asks a plug-in (rule 9.9), as the plug-in reads it. */
export interface PluginRequest {
  readonly apiVersion: string;
  readonly image: string;
  readonly serviceAccountToken: string;
  readonly serviceAccountAnnotations: ReadonlyMap<string, string>;
}

/** What a plug-in answers; durations in milliseconds, absent leaves it to the node. */
export interface PluginResponse {
  readonly cacheKeyType: 'Image' | 'Registry' | 'Global';
  readonly cacheDurationMs: number | undefined;
  /** Names and passwords by pattern. */
  readonly auth: ReadonlyMap<string, { readonly username: string; readonly password: string }>;
}

const GROUP = 'credentialprovider.kubelet.k8s.io';

/**
 * Reads the request.
 *
 * @param versions protocol versions that the plug-in speaks
 * @throws CredentialError `CLOUD_REFUSED`
 */
export function readPluginRequest(text: string, versions: readonly string[]): PluginRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not quoted: a request may carry a token.
    throw refuse('Cannot read the plugin request: it is no JSON');
  }
  const request = new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  const apiVersion = textOf(request.get('apiVersion'));
  const kind = textOf(request.get('kind'));
  if (kind !== 'CredentialProviderRequest') {
    throw refuse(`Cannot read the plugin request: kind is "${kind}", expected CredentialProviderRequest`);
  }
  const [group, version = ''] = apiVersion.split('/');
  if (group !== GROUP || !versions.includes(version)) {
    const known = versions.map((v) => `${GROUP}/${v}`).join(', ');
    throw refuse(`Cannot read the plugin request: apiVersion is "${apiVersion}", expected ${known}`);
  }
  const image = textOf(request.get('image'));
  if (image === '') throw refuse('image in plugin request was empty');
  const annotations = request.get('serviceAccountAnnotations');
  return {
    apiVersion,
    image,
    serviceAccountToken: textOf(request.get('serviceAccountToken')),
    serviceAccountAnnotations: new Map(
      typeof annotations === 'object' && annotations !== null
        ? Object.entries(annotations).map(([key, value]) => [key, textOf(value)])
        : [],
    ),
  };
}

/** Prints the answer in the version of the request (rule 9.10). */
export function printPluginResponse(apiVersion: string, response: PluginResponse): string {
  const auth = goJsonObject(response.auth);
  const duration =
    response.cacheDurationMs === undefined
      ? ''
      : `"cacheDuration":${JSON.stringify(formatGoDuration(response.cacheDurationMs))},`;
  return `{"kind":"CredentialProviderResponse","apiVersion":${goJsonStringify(apiVersion)},"cacheKeyType":"${response.cacheKeyType}",${duration}"auth":${auth}}\n`;
}

/** Turns the entries of a docker config into an answer's `auth`. */
export function authOf(config: DockerConfig): Map<string, { username: string; password: string }> {
  return new Map([...config].map(([key, { username, password }]) => [key, { username, password }]));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function refuse(message: string): CredentialError {
  return new CredentialError('CLOUD_REFUSED', message);
}
