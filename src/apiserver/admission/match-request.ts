import { ruleMatches, type OperationRule, type RuleSubject } from '../../admission/rule-match.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { ResourceInfo } from '../../kube/resources.ts';
import { labelSelectorOf, type LabelSelectorObject } from '../../kube/selector/label-selector.ts';
import { notFound } from '../../kube/status.ts';
import type { AdmissionRequest } from '../admission-chain.ts';
import { asServed, asStored, coreResource, storageName } from '../api-call.ts';
import type { ObjectStore } from '../object-store.ts';
import type { ServedResources } from '../served-resources.ts';

/** To which requests a webhook or policy is applied. */
export interface MatchCriteria {
  readonly rules?: readonly OperationRule[];
  readonly excludeRules?: readonly OperationRule[];
  /** `Exact`, or `Equivalent`: also when the rule names the resource by another of its group-versions. */
  readonly matchPolicy?: string;
  readonly namespaceSelector?: LabelSelectorObject;
  readonly objectSelector?: LabelSelectorObject;
}

/** A request as a webhook or policy is to see it: in the version that its rule names. */
export interface MatchedRequest {
  readonly resource: ResourceInfo;
  readonly object?: KubeObject;
  readonly oldObject?: KubeObject;
}

export interface MatchContext {
  readonly store: ObjectStore;
  readonly served: ServedResources;
}

/**
 * Returns the request in the version of the rule that is about it; `undefined` when none is, or a selector says no.
 *
 * @throws StatusError 404 when the namespace, whose labels decide, is gone
 */
export function matchRequest(
  context: MatchContext,
  request: AdmissionRequest,
  criteria: MatchCriteria,
): MatchedRequest | undefined {
  if (!objectMatches(request, criteria.objectSelector)) return undefined;
  const isExcluded = equivalents(context, request.resource).some((resource) =>
    (criteria.excludeRules ?? []).some((rule) => ruleMatches(rule, subjectOf(request, resource))),
  );
  if (isExcluded) return undefined;
  const found = matchingResource(context, request, criteria);
  if (found === undefined || !namespaceMatches(context, request, criteria.namespaceSelector))
    return undefined;
  const inVersion = (object: KubeObject): KubeObject =>
    found === request.resource || object.apiVersion !== request.resource.apiVersion
      ? object
      : asServed(found, asStored(request.resource, object));
  return {
    resource: found,
    ...(request.object === undefined ? {} : { object: inVersion(request.object) }),
    ...(request.oldObject === undefined ? {} : { oldObject: inVersion(request.oldObject) }),
  };
}

function matchingResource(
  context: MatchContext,
  request: AdmissionRequest,
  { rules = [], matchPolicy }: MatchCriteria,
): ResourceInfo | undefined {
  if (rules.some((rule) => ruleMatches(rule, subjectOf(request, request.resource)))) return request.resource;
  if (matchPolicy === 'Exact') return undefined;
  return equivalents(context, request.resource).find((resource) =>
    rules.some((rule) => ruleMatches(rule, subjectOf(request, resource))),
  );
}

/** Other names under which the same objects are served. */
function equivalents(context: MatchContext, resource: ResourceInfo): readonly ResourceInfo[] {
  const name = storageName(resource);
  return [
    resource,
    ...context.served.all.filter((other) => other !== resource && storageName(other) === name),
  ];
}

function subjectOf(request: AdmissionRequest, resource: ResourceInfo): RuleSubject {
  const { operation, subresource, namespace, name } = request;
  const { group, version } = resource;
  return { operation, group, version, resource: resource.resource, subresource, namespace, name };
}

function objectMatches(request: AdmissionRequest, selector: LabelSelectorObject | undefined): boolean {
  if (isEmpty(selector)) return true;
  const matcher = labelSelectorOf(selector);
  return [request.object, request.oldObject].some(
    (object) => object?.metadata !== undefined && matcher.matches(object.metadata.labels),
  );
}

function namespaceMatches(
  { store }: MatchContext,
  request: AdmissionRequest,
  selector: LabelSelectorObject | undefined,
): boolean {
  if (isEmpty(selector)) return true;
  const isNamespace = request.resource.group === '' && request.resource.resource === 'namespaces';
  if (!isNamespace && !request.resource.namespaced) return true;
  const namespace = isNamespace
    ? (request.object ?? request.oldObject)
    : store.get({ resource: 'namespaces', namespace: '', name: request.namespace })?.object;
  if (namespace === undefined) throw notFound(coreResource('namespaces'), request.namespace);
  return labelSelectorOf(selector).matches(namespace.metadata.labels);
}

function isEmpty(selector: LabelSelectorObject | undefined): boolean {
  if (selector === undefined) return true;
  const { matchLabels = {}, matchExpressions = [] } = selector;
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}
