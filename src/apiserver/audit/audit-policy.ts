import { readFile } from 'node:fs/promises';
import { CodedError, messageOf } from '../../base/coded-error.ts';
import { parseYaml } from '../../kube/decode/parse-yaml.ts';
import { isObject } from '../../kube/json/own-property.ts';
import type { ApiRequest } from '../api-request.ts';
import type { UserInfo } from '../user-info.ts';

export class AuditPolicyError extends CodedError<'UNREADABLE' | 'MALFORMED'> {}

const LEVELS = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
const STAGES = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;

/** How much of a request is recorded. */
export type AuditLevel = (typeof LEVELS)[number];
/** When in the life of a request something is recorded. */
export type AuditStage = (typeof STAGES)[number];

interface GroupResources {
  readonly group: string;
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
}

interface Rule {
  readonly level: AuditLevel;
  readonly users: readonly string[];
  readonly userGroups: readonly string[];
  readonly verbs: readonly string[];
  readonly resources: readonly GroupResources[];
  readonly namespaces: readonly string[];
  readonly nonResourceURLs: readonly string[];
  readonly omitStages: readonly AuditStage[];
  readonly omitManagedFields: boolean;
}

/** What is recorded of one request. */
export interface AuditDecision {
  readonly level: AuditLevel;
  readonly omitStages: ReadonlySet<AuditStage>;
  readonly omitManagedFields: boolean;
}

/** Decides what is recorded of each request: the first rule that fits does. */
export type AuditPolicy = (request: ApiRequest, user: UserInfo) => AuditDecision;

const NOTHING: AuditDecision = { level: 'None', omitStages: new Set(), omitManagedFields: false };

/**
 * Reads a policy file in kube-apiserver's form, `kind: Policy` of `audit.k8s.io/v1`.
 *
 * @throws AuditPolicyError
 */
export async function loadAuditPolicy(path: string): Promise<AuditPolicy> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new AuditPolicyError('UNREADABLE', `failed to read file path "${path}": ${messageOf(error)}`, {
      cause: error,
    });
  }
  try {
    return parseAuditPolicy(text);
  } catch (error) {
    throw new AuditPolicyError('MALFORMED', `${messageOf(error)}: from file ${path}`, { cause: error });
  }
}

/** Makes the policy that a text describes. Throws AuditPolicyError. */
export function parseAuditPolicy(text: string): AuditPolicy {
  let value: unknown;
  try {
    ({ value } = parseYaml(text));
  } catch (error) {
    throw malformed(messageOf(error), error);
  }
  if (!isObject(value)) throw malformed('it holds no object');
  const { apiVersion, kind } = value;
  if (apiVersion !== 'audit.k8s.io/v1' || kind !== 'Policy') {
    throw malformed(
      `no kind ${JSON.stringify(kind ?? '')} is registered for version ${JSON.stringify(apiVersion ?? '')}`,
    );
  }
  const known = ['apiVersion', 'kind', 'metadata', 'rules', 'omitStages', 'omitManagedFields'];
  checkFields(value, known, '');
  const given = value['rules'];
  if (!Array.isArray(given) || given.length === 0) {
    throw new AuditPolicyError('MALFORMED', 'loaded illegal policy with 0 rules');
  }
  const omitStages = stagesIn(value, '');
  const omitManaged = value['omitManagedFields'] === true;
  const rules = given.map((rule: unknown, index) => readRule(rule, `rules[${index}]`, omitManaged));
  return (request, user) => {
    const rule = rules.find((candidate) => fits(candidate, request, user));
    if (rule === undefined) return NOTHING;
    return {
      level: rule.level,
      omitStages: new Set([...omitStages, ...rule.omitStages]),
      omitManagedFields: rule.omitManagedFields,
    };
  };
}

function readRule(rule: unknown, at: string, omitManaged: boolean): Rule {
  if (!isObject(rule)) throw malformed(`${at}: not an object`);
  const known = ['level', 'users', 'userGroups', 'verbs', 'resources', 'namespaces', 'nonResourceURLs'];
  checkFields(rule, [...known, 'omitStages', 'omitManagedFields'], `${at}.`);
  const level = LEVELS.find((each) => each === rule['level']);
  if (level === undefined) {
    if (rule['level'] === undefined) throw invalid(`${at}.level: Required value`);
    const list = LEVELS.map((each) => `"${each}"`).join(', ');
    throw invalid(
      `${at}.level: Unsupported value: ${JSON.stringify(rule['level'])}: supported values: ${list}`,
    );
  }
  const resources = (Array.isArray(rule['resources']) ? rule['resources'] : []).map(
    (each: unknown, index) => {
      if (!isObject(each)) throw malformed(`${at}.resources[${index}]: not an object`);
      checkFields(each, ['group', 'resources', 'resourceNames'], `${at}.resources[${index}].`);
      const { group } = each;
      const entry = {
        group: typeof group === 'string' ? group : '',
        resources: texts(each, 'resources'),
        resourceNames: texts(each, 'resourceNames'),
      };
      if (entry.resourceNames.length > 0 && entry.resources.length === 0) {
        throw invalid(
          `${at}.resources[${index}].resourceNames: Invalid value: ${JSON.stringify(entry.resourceNames)}: using resourceNames requires at least one resource`,
        );
      }
      return entry;
    },
  );
  const nonResourceURLs = texts(rule, 'nonResourceURLs');
  const namespaces = texts(rule, 'namespaces');
  if (nonResourceURLs.length > 0 && resources.length + namespaces.length > 0) {
    throw invalid(
      `${at}.nonResourceURLs: Invalid value: ${JSON.stringify(nonResourceURLs)}: rules cannot apply to both regular resources and non-resource URLs`,
    );
  }
  const omit = rule['omitManagedFields'];
  return {
    level,
    users: texts(rule, 'users'),
    userGroups: texts(rule, 'userGroups'),
    verbs: texts(rule, 'verbs'),
    resources,
    namespaces,
    nonResourceURLs,
    omitStages: stagesIn(rule, `${at}.`),
    omitManagedFields: typeof omit === 'boolean' ? omit : omitManaged,
  };
}

function stagesIn(parent: Readonly<Record<string, unknown>>, at: string): AuditStage[] {
  return texts(parent, 'omitStages').map((text, index) => {
    const stage = STAGES.find((each) => each === text);
    if (stage === undefined) {
      const allowed = STAGES.join(',');
      throw invalid(`${at}omitStages[${index}]: Invalid value: "${text}": allowed stages are ${allowed}`);
    }
    return stage;
  });
}

function texts(parent: Readonly<Record<string, unknown>>, key: string): string[] {
  const value = parent[key];
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
}

function checkFields(value: Readonly<Record<string, unknown>>, known: readonly string[], at: string): void {
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw malformed(`strict decoding error: unknown field "${at}${unknown}"`);
}

function malformed(why: string, cause?: unknown): AuditPolicyError {
  return new AuditPolicyError('MALFORMED', `failed decoding: ${why}`, { cause });
}

function invalid(why: string): AuditPolicyError {
  return new AuditPolicyError('MALFORMED', why);
}

function fits(rule: Rule, request: ApiRequest, user: UserInfo): boolean {
  if (rule.users.length > 0 && !rule.users.includes(user.name)) return false;
  if (rule.userGroups.length > 0 && !rule.userGroups.some((group) => user.groups.includes(group)))
    return false;
  if (rule.verbs.length > 0 && !rule.verbs.includes(request.verb)) return false;
  if (rule.resources.length > 0 || rule.namespaces.length > 0) {
    return request.type !== 'path' && fitsResource(rule, request);
  }
  if (rule.nonResourceURLs.length > 0) {
    return request.type === 'path' && rule.nonResourceURLs.some((pattern) => fitsPath(pattern, request.path));
  }
  return true;
}

function fitsPath(pattern: string, path: string): boolean {
  return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}

function fitsResource(rule: Rule, request: Exclude<ApiRequest, { type: 'path' }>): boolean {
  if (rule.namespaces.length > 0 && !rule.namespaces.includes(request.namespace)) return false;
  if (rule.resources.length === 0) return true;
  const { resource, subresource } = request;
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  return rule.resources.some(({ group, resources, resourceNames }) => {
    if (group !== request.group) return false;
    if (resources.length === 0) return true;
    return resources.some((wanted) => {
      if (resourceNames.length > 0 && !resourceNames.includes(request.name)) return false;
      if (wanted === '*' || wanted === full) return true;
      if (subresource !== '' && wanted === `*/${subresource}`) return true;
      return wanted === `${resource}/*`;
    });
  });
}
