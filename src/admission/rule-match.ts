/** One rule of a webhook or policy: which operations on which resources it is about. */
export interface OperationRule {
  readonly operations?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly apiVersions?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  /** `*` when absent. */
  readonly scope?: string;
}

/** What a rule looks at in a request. */
export interface RuleSubject {
  readonly operation: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  /** `''` for objects of the whole cluster. */
  readonly namespace: string;
  readonly name: string;
}

/** Tells whether a rule is about a request. `*` stands for anything; `pods/*` for every part of a Pod but itself. */
export function ruleMatches(rule: OperationRule, subject: RuleSubject): boolean {
  return (
    has(rule.operations, subject.operation) &&
    has(rule.apiGroups, subject.group) &&
    has(rule.apiVersions, subject.version) &&
    resourceMatches(rule.resources, subject) &&
    nameMatches(rule.resourceNames, subject.name) &&
    scopeMatches(rule.scope ?? '*', subject)
  );
}

function has(list: readonly string[] | undefined, wanted: string): boolean {
  return list !== undefined && (list.includes('*') || list.includes(wanted));
}

function resourceMatches(
  list: readonly string[] | undefined,
  { resource, subresource }: RuleSubject,
): boolean {
  return (list ?? []).some((text) => {
    const [wanted = '', part = ''] = text.split('/');
    return (wanted === '*' || wanted === resource) && (part === '*' || part === subresource);
  });
}

function nameMatches(names: readonly string[] | undefined, name: string): boolean {
  return names === undefined || names.length === 0 || names.includes(name);
}

/** A Namespace belongs to the cluster although requests for it name it as their namespace. */
function scopeMatches(scope: string, subject: RuleSubject): boolean {
  if (scope === '*') return true;
  const isCluster = subject.namespace === '' || (subject.group === '' && subject.resource === 'namespaces');
  return (scope === 'Cluster') === isCluster;
}

/** Kinds about which webhooks and policies are never asked, lest nobody could take back a wrong one. */
const EXEMPT: ReadonlySet<string> = new Set([
  'mutatingwebhookconfigurations',
  'validatingwebhookconfigurations',
  'validatingadmissionpolicies',
  'validatingadmissionpolicybindings',
  'mutatingadmissionpolicies',
  'mutatingadmissionpolicybindings',
]);

/** Tells whether a request is one that no webhook or policy may stop. */
export function isExempt(subject: Pick<RuleSubject, 'group' | 'resource'>): boolean {
  return subject.group === 'admissionregistration.k8s.io' && EXEMPT.has(subject.resource);
}
