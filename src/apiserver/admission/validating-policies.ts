import { isExempt } from '../../admission/rule-match.ts';
import { POLICY_BUDGET, type CelBudget } from '../../kube/cel/cel-program.ts';
import { toCel } from '../../kube/cel/cel-values.ts';
import { forbidden, StatusError, type StatusReason } from '../../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission-chain.ts';
import type { Authorizer } from '../authorizer.ts';
import {
  boundPolicies,
  criteriaOf,
  evaluate,
  namespaceObject,
  PolicyEvaluationError,
  withVariables,
  type AdmissionPolicy,
  type PolicyBinding,
  type PolicySpec,
} from './admission-policy.ts';
import { variablesOf } from './cel-variables.ts';
import { evaluateConditions } from './match-conditions.ts';
import { matchRequest, type MatchContext, type MatchedRequest } from './match-request.ts';
import { ParamsError, paramsOf } from './policy-params.ts';

/** Letters of a message that an expression makes, as upstream bounds them. */
const MAX_MESSAGE = 5 * 1024;

export interface PolicyContext extends MatchContext {
  readonly authorizer: Authorizer;
}

interface ValidatingSpec extends PolicySpec {
  readonly validations?: readonly {
    readonly expression: string;
    readonly message?: string;
    readonly messageExpression?: string;
    readonly reason?: StatusReason;
  }[];
  readonly auditAnnotations?: readonly { readonly key: string; readonly valueExpression: string }[];
}

type Policy = AdmissionPolicy<ValidatingSpec>;

interface Finding {
  readonly policy: string;
  readonly binding?: string;
  readonly message: string;
  readonly reason: StatusReason;
  readonly expression: number;
}

/** Checks what is written against ValidatingAdmissionPolicies and what their bindings make of them. */
export function validatingPolicies(context: PolicyContext): AdmissionPlugin & { close(): void } {
  const policies = boundPolicies<ValidatingSpec>(context.store, 'validating');
  return {
    name: 'ValidatingAdmissionPolicy',
    close: () => policies.close(),
    validate: (request) => {
      if (isExempt(request.resource)) return;
      const denied: Finding[] = [];
      for (const { policy, bindings } of policies.value) {
        for (const finding of applyPolicy(context, request, policy, bindings)) denied.push(finding);
      }
      const [first] = denied;
      if (first !== undefined) throw denial(request, first);
    },
  };
}

/** Returns what the policy denies; what it only warns of or records is done here. */
function applyPolicy(
  context: PolicyContext,
  request: AdmissionRequest,
  policy: Policy,
  bindings: readonly PolicyBinding[],
): Finding[] {
  const { name } = policy.metadata;
  const isClosed = policy.spec.failurePolicy !== 'Ignore';
  const denied: Finding[] = [];
  const misconfigured = (why: string, binding?: PolicyBinding): void => {
    if (!isClosed) return;
    const what = binding === undefined ? 'policy' : 'binding';
    const message = `failed to configure ${what}: ${why}`;
    denied.push(finding(name, binding, message));
  };
  const matched = matchRequest(context, request, criteriaOf(policy.spec.matchConstraints));
  if (matched === undefined) return [];
  const annotations = new Map<string, Set<string>>();
  for (const binding of bindings) {
    const { matchResources } = binding.spec;
    if (matchResources !== undefined && !isBound(context, request, matchResources)) continue;
    try {
      for (const params of paramsOf(context, policy.spec, binding, request)) {
        const findings = check(context, request, matched, { policy, binding, params }, annotations);
        for (const each of findings) act(request, binding, each, denied);
      }
    } catch (error) {
      if (!(error instanceof ParamsError)) throw error;
      misconfigured(error.message, error.ofPolicy ? undefined : binding);
      if (error.ofPolicy) break;
    }
  }
  for (const [key, values] of annotations) {
    request.auditAnnotations?.set(`${name}/${key}`, [...values].join(', '));
  }
  return denied;
}

/** Tells whether a binding takes a request that its policy takes. */
export function isBound(
  context: PolicyContext,
  request: AdmissionRequest,
  match: NonNullable<PolicyBinding['spec']['matchResources']>,
): boolean {
  const criteria = criteriaOf(match);
  // A binding without rules takes all that the policy takes.
  const everything = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*', '*'] }];
  const rules = (criteria.rules ?? []).length === 0 ? everything : criteria.rules;
  return (
    matchRequest(context, request, { ...criteria, ...(rules === undefined ? {} : { rules }) }) !== undefined
  );
}

function act(request: AdmissionRequest, binding: PolicyBinding, found: Finding, denied: Finding[]): void {
  for (const action of binding.spec.validationActions ?? []) {
    if (action === 'Deny') denied.push(found);
    if (action === 'Warn') {
      request.warnings.push(
        `Validation failed for ValidatingAdmissionPolicy '${found.policy}' with binding '${binding.metadata.name}': ${found.message}`,
      );
    }
    if (action === 'Audit') {
      const key = 'validation.policy.admission.k8s.io/validation_failure';
      const before = JSON.parse(request.auditAnnotations?.get(key) ?? '[]') as object[];
      const entry = {
        message: found.message,
        policy: found.policy,
        binding: binding.metadata.name,
        expressionIndex: found.expression,
        validationActions: binding.spec.validationActions,
      };
      request.auditAnnotations?.set(key, JSON.stringify([...before, entry]));
    }
  }
}

function check(
  context: PolicyContext,
  request: AdmissionRequest,
  matched: MatchedRequest,
  { policy, binding, params }: { policy: Policy; binding: PolicyBinding; params: object | null },
  annotations: Map<string, Set<string>>,
): Finding[] {
  const { spec, metadata } = policy;
  const isClosed = spec.failurePolicy !== 'Ignore';
  const budget: CelBudget = { left: POLICY_BUDGET };
  const base = {
    ...variablesOf(request, matched, context.authorizer),
    ...(spec.paramKind === undefined ? {} : { params: toCel(params) }),
  };
  const { matches, error } = evaluateConditions(spec.matchConditions ?? [], base, budget);
  if (error !== undefined) return isClosed ? [finding(metadata.name, binding, error)] : [];
  if (!matches) return [];
  const { resource } = request;
  const namespace = namespaceObject(context.store, resource.namespaced, request.namespace);
  const variables = withVariables({ ...base, namespaceObject: namespace }, spec.variables, budget);
  const findings: Finding[] = [];
  (spec.validations ?? []).forEach((validation, index) => {
    const expression = validation.expression.trim();
    try {
      if (evaluate(expression, variables, budget) === true) return;
      const message = messageFor(validation, variables, budget) ?? `failed expression: ${expression}`;
      findings.push({
        ...finding(metadata.name, binding, message, validation.reason),
        expression: index,
      });
    } catch (thrown) {
      if (!(thrown instanceof PolicyEvaluationError)) throw thrown;
      if (isClosed) findings.push({ ...finding(metadata.name, binding, thrown.message), expression: index });
    }
  });
  for (const { key, valueExpression } of spec.auditAnnotations ?? []) {
    try {
      const value = evaluate(valueExpression.trim(), variables, budget);
      if (typeof value !== 'string' || value.trim() === '') continue;
      annotations.set(key, (annotations.get(key) ?? new Set()).add(value.trim()));
    } catch (thrown) {
      if (!(thrown instanceof PolicyEvaluationError)) throw thrown;
      if (isClosed) findings.push(finding(metadata.name, binding, thrown.message));
    }
  }
  return findings;
}

function messageFor(
  validation: NonNullable<ValidatingSpec['validations']>[number],
  variables: Readonly<Record<string, unknown>>,
  budget: CelBudget,
): string | undefined {
  const fixed = validation.message?.trim() ?? '';
  const expression = validation.messageExpression?.trim() ?? '';
  if (expression !== '') {
    const { authorizer: _authorizer, ...allowed } = variables;
    try {
      const made = evaluate(expression, allowed, budget);
      const text = typeof made === 'string' ? made.trim() : '';
      if (text !== '' && !text.includes('\n') && text.length <= MAX_MESSAGE) return text;
    } catch (error) {
      // A message that cannot be made is replaced by the fixed one.
      if (!(error instanceof PolicyEvaluationError)) throw error;
    }
  }
  return fixed === '' ? undefined : fixed;
}

function finding(
  policy: string,
  binding: PolicyBinding | undefined,
  message: string,
  reason: StatusReason = 'Invalid',
): Finding {
  return {
    policy,
    ...(binding === undefined ? {} : { binding: binding.metadata.name }),
    message,
    reason,
    expression: 0,
  };
}

const CODES: Readonly<Record<string, number>> = {
  Forbidden: 403,
  Unauthorized: 401,
  RequestEntityTooLarge: 413,
};

function denial(request: AdmissionRequest, { policy, binding, message, reason }: Finding): StatusError {
  const by = binding === undefined ? '' : ` with binding '${binding}'`;
  const text = `ValidatingAdmissionPolicy '${policy}'${by} denied request: ${message}`;
  const { status } = forbidden(request.resource, request.name, text);
  return new StatusError({
    ...status,
    reason,
    details: { ...status.details, causes: [{ message: text }] },
    code: (Object.hasOwn(CODES, reason) ? CODES[reason] : undefined) ?? 422,
  });
}
