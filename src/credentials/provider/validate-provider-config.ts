import { formatGoDuration } from '../../base/go-duration.ts';
import { goQuote } from '../../base/go-quote.ts';
import { parsePattern } from '../registry-pattern.ts';
import type { ProviderConfig, TokenAttributes } from './provider-config.ts';

/** Versions of the plug-in protocol, sorted as error texts list them. */
export const PROVIDER_API_VERSIONS = ['v1', 'v1alpha1', 'v1beta1'].map(
  (v) => `credentialprovider.kubelet.k8s.io/${v}`,
);

const V1 = 'credentialprovider.kubelet.k8s.io/v1';
const CACHE_TYPES = ['ServiceAccount', 'Token'];

/** Checks what the kubelet checks before it starts (9.5, 9.6) and returns its texts; none means valid. */
export function validateProviderConfig(providers: readonly ProviderConfig[]): string[] {
  const errors: string[] = [];
  if (providers.length === 0)
    errors.push('providers: Required value: at least 1 item in plugins is required');
  const names = new Set<string>();
  for (const provider of providers) {
    errors.push(...nameErrors(provider.name, names), ...apiVersionErrors(provider.apiVersion));
    if (provider.matchImages.length === 0) {
      errors.push('providers.matchImages: Required value: at least 1 item in matchImages is required');
    }
    for (const pattern of provider.matchImages) {
      if (parsePattern(pattern) === undefined) {
        errors.push(invalid('providers.matchImages', goQuote(pattern), 'match image is invalid: no URL'));
      }
    }
    const duration = provider.defaultCacheDurationMs;
    if (duration === undefined) errors.push('providers.defaultCacheDuration: Required value');
    else if (duration < 0) {
      const detail = 'defaultCacheDuration must be greater than or equal to 0';
      errors.push(invalid('providers.defaultCacheDuration', formatGoDuration(duration), detail));
    }
    if (provider.tokenAttributes !== undefined)
      errors.push(...tokenErrors(provider.tokenAttributes, provider.apiVersion));
  }
  return errors;
}

/** Joins errors as the kubelet prints them: one alone, several in brackets without repetition. */
export function aggregate(errors: readonly string[]): string {
  const distinct = [...new Set(errors)];
  return distinct.length === 1 ? (distinct[0] ?? '') : `[${distinct.join(', ')}]`;
}

function nameErrors(name: string, seen: Set<string>): string[] {
  const field = 'providers.name';
  const errors: string[] = [];
  const refuse = (detail: string): void => void errors.push(invalid(field, goQuote(name), detail));
  if (name.includes('/')) refuse("provider name cannot contain '/'");
  if (name.includes(' ')) refuse('provider name cannot contain spaces');
  if (name === '.') refuse("provider name cannot be '.'");
  if (name === '..') refuse("provider name cannot be '..'");
  if (seen.has(name)) errors.push(`${field}: Duplicate value: ${goQuote(name)}`);
  seen.add(name);
  return errors;
}

function apiVersionErrors(apiVersion: string): string[] {
  if (apiVersion === '') return ['providers.apiVersion: Required value'];
  return PROVIDER_API_VERSIONS.includes(apiVersion)
    ? []
    : [notSupported('providers.apiVersion', apiVersion, PROVIDER_API_VERSIONS)];
}

function tokenErrors(attributes: TokenAttributes, apiVersion: string): string[] {
  const field = 'providers.tokenAttributes';
  const { requiredServiceAccountAnnotationKeys: required, optionalServiceAccountAnnotationKeys: optional } =
    attributes;
  const errors: string[] = [];
  if (attributes.serviceAccountTokenAudience === '')
    errors.push(`${field}.serviceAccountTokenAudience: Required value`);
  if (attributes.requireServiceAccount === undefined)
    errors.push(`${field}.requireServiceAccount: Required value`);
  if (apiVersion !== V1)
    errors.push(`${field}: Forbidden: tokenAttributes is only supported for ${V1} API version`);
  if (attributes.requireServiceAccount === false && required.length > 0) {
    const detail = 'requireServiceAccount cannot be false when requiredServiceAccountAnnotationKeys is set';
    errors.push(`${field}.requiredServiceAccountAnnotationKeys: Forbidden: ${detail}`);
  }
  errors.push(...annotationKeyErrors(`${field}.requiredServiceAccountAnnotationKeys`, required));
  errors.push(...annotationKeyErrors(`${field}.optionalServiceAccountAnnotationKeys`, optional));
  const both = [...new Set(required)].filter((key) => optional.includes(key)).sort();
  if (both.length > 0) {
    errors.push(invalid(field, JSON.stringify(both), 'annotation keys cannot be both required and optional'));
  }
  if (attributes.cacheType === '') {
    const detail = `cacheType is required to be set when tokenAttributes is specified. Supported values are: ${CACHE_TYPES.join(', ')}`;
    errors.push(`${field}.cacheType: Required value: ${detail}`);
  } else if (!CACHE_TYPES.includes(attributes.cacheType)) {
    errors.push(notSupported(`${field}.cacheType`, attributes.cacheType, CACHE_TYPES));
  }
  return errors;
}

function annotationKeyErrors(field: string, keys: readonly string[]): string[] {
  const seen = new Set<string>();
  const errors: string[] = [];
  for (const key of keys) {
    for (const problem of qualifiedNameProblems(key.toLowerCase()))
      errors.push(invalid(field, goQuote(key), problem));
    if (seen.has(key)) errors.push(`${field}: Duplicate value: ${goQuote(key)}`);
    seen.add(key);
  }
  return errors;
}

const NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const NAME_SHAPE =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SUBDOMAIN_SHAPE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/** Says what keeps a text from being a qualified name (`[prefix/]name`), in the words of Kubernetes. */
function qualifiedNameProblems(value: string): string[] {
  const parts = value.split('/');
  if (parts.length > 2) {
    const shape = NAME_SHAPE.replace('must consist', 'a qualified name must consist');
    return [`${shape} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const problems: string[] = [];
  const name = parts.at(-1) ?? '';
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    if (prefix === '') problems.push('prefix part must be non-empty');
    else {
      if (prefix.length > 253) problems.push('prefix part must be no more than 253 bytes');
      if (!DNS_SUBDOMAIN.test(prefix)) problems.push(`prefix part ${SUBDOMAIN_SHAPE}`);
    }
  }
  if (name === '') problems.push('name part must be non-empty');
  else if (name.length > 63) problems.push('name part must be no more than 63 bytes');
  if (!NAME.test(name)) problems.push(`name part ${NAME_SHAPE}`);
  return problems;
}

function invalid(field: string, printed: string, detail: string): string {
  return `${field}: Invalid value: ${printed}: ${detail}`;
}

function notSupported(field: string, value: string, supported: readonly string[]): string {
  return `${field}: Unsupported value: ${goQuote(value)}: supported values: ${supported.map(goQuote).join(', ')}`;
}
