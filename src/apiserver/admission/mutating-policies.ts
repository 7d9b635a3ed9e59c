import { isDeepStrictEqual } from 'node:util';
import { isExempt } from '../../admission/rule-match.ts';
import { messageOf } from '../../base/coded-error.ts';
import { ApplyError } from '../../kube/apply/apply-error.ts';
import { mergeInto } from '../../kube/apply/merge-into.ts';
import { POLICY_BUDGET, type CelBudget } from '../../kube/cel/cel-program.ts';
import { fromCel, toCel } from '../../kube/cel/cel-values.ts';
import { decodeObject } from '../../kube/decode/decode-object.ts';
import { setDefaults, type DefaultOptions } from '../../kube/default/set-defaults.ts';
import type { KubeObject } from '../../kube/object.ts';
import { patchObject } from '../../kube/patch/patch-object.ts';
import { forbidden, StatusError } from '../../kube/status.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission-chain.ts';
import { asServed, asStored } from '../api-call.ts';
import {
  boundPolicies,
  criteriaOf,
  evaluate,
  namespaceObject,
  PolicyEvaluationError,
  withVariables,
  type BoundPolicy,
  type PolicyBinding,
  type PolicySpec,
} from './admission-policy.ts';
import { variablesOf } from './cel-variables.ts';
import { evaluateConditions } from './match-conditions.ts';
import { matchRequest, type MatchedRequest } from './match-request.ts';
import { ParamsError, paramsOf } from './policy-params.ts';
import { isBound, type PolicyContext } from './validating-policies.ts';

interface Mutation {
  readonly patchType: 'ApplyConfiguration' | 'JSONPatch';
  readonly applyConfiguration?: { readonly expression: string };
  readonly jsonPatch?: { readonly expression: string };
}

interface MutatingSpec extends PolicySpec {
  readonly mutations?: readonly Mutation[];
  readonly reinvocationPolicy?: string;
}

export interface MutatingContext extends PolicyContext {
  readonly defaults: DefaultOptions;
}

/** Lets MutatingAdmissionPolicies change what is written. */
export function mutatingPolicies(context: MutatingContext): AdmissionPlugin & { close(): void } {
  const policies = boundPolicies<MutatingSpec>(context.store, 'mutating');
  return {
    name: 'MutatingAdmissionPolicy',
    close: () => policies.close(),
    admit: (request) => {
      if (request.object === undefined || isExempt(request.resource) || policies.value.length === 0) return;
      const before = structuredClone(request.object);
      for (const bound of policies.value) {
        if (request.rounds?.round === 2 && bound.policy.spec.reinvocationPolicy !== 'IfNeeded') continue;
        applyPolicy(context, request, bound);
      }
      if (request.rounds !== undefined && !isDeepStrictEqual(before, request.object))
        request.rounds.again = true;
    },
  };
}

function applyPolicy(
  context: MutatingContext,
  request: AdmissionRequest,
  { policy, bindings }: BoundPolicy<MutatingSpec>,
): void {
  const { spec, metadata } = policy;
  for (const binding of bindings) {
    const { matchResources } = binding.spec;
    if (matchResources !== undefined && !isBound(context, request, matchResources)) continue;
    try {
      const matched = matchRequest(context, request, criteriaOf(spec.matchConstraints));
      if (matched === undefined) return;
      for (const params of paramsOf(context, spec, binding, request)) mutate(context, request, spec, params);
    } catch (error) {
      const isOurs =
        error instanceof ParamsError || error instanceof PolicyEvaluationError || error instanceof ApplyError;
      if (!isOurs) throw error;
      if (spec.failurePolicy === 'Ignore') continue;
      const why =
        error instanceof ParamsError ? `failed to configure binding: ${error.message}` : messageOf(error);
      throw denial(request, metadata.name, binding, why);
    }
  }
}

function mutate(
  context: MutatingContext,
  request: AdmissionRequest,
  spec: MutatingSpec,
  params: KubeObject | null,
): void {
  const budget: CelBudget = { left: POLICY_BUDGET };
  for (const [index, mutation] of (spec.mutations ?? []).entries()) {
    // Each mutation sees what the one before it did.
    const matched = matchRequest(context, request, criteriaOf(spec.matchConstraints));
    if (matched?.object === undefined) return;
    const base = {
      ...variablesOf(request, matched, context.authorizer),
      ...(spec.paramKind === undefined ? {} : { params: toCel(params) }),
    };
    if (index === 0) {
      const { matches, error } = evaluateConditions(spec.matchConditions ?? [], base, budget);
      if (error !== undefined) throw new PolicyEvaluationError(error);
      if (!matches) return;
    }
    const { namespaced } = request.resource;
    const namespace = namespaceObject(context.store, namespaced, request.namespace);
    const variables = withVariables({ ...base, namespaceObject: namespace }, spec.variables, budget);
    const object = run(mutation, matched, matched.object, variables, budget);
    setDefaults(object, context.defaults);
    request.object =
      matched.resource === request.resource
        ? object
        : asServed(request.resource, asStored(matched.resource, object));
  }
}

function run(
  { patchType, applyConfiguration, jsonPatch }: Mutation,
  { resource }: MatchedRequest,
  object: KubeObject,
  variables: Readonly<Record<string, unknown>>,
  budget: CelBudget,
): KubeObject {
  const fail = (error: unknown): Error =>
    new PolicyEvaluationError(
      `JSON Patch: ${messageOf(error instanceof Error && error.cause instanceof Error ? error.cause : error)}`,
    );
  if (patchType === 'JSONPatch') {
    const operations = fromCel(evaluate(jsonPatch?.expression ?? '', variables, budget));
    try {
      return patchObject(object, Buffer.from(JSON.stringify(operations)), {
        mediaType: 'application/json-patch+json',
        resource,
        fieldValidation: 'Ignore',
      }).object;
    } catch (error) {
      if (error instanceof StatusError) throw fail(error);
      throw error;
    }
  }
  const config = fromCel(evaluate(applyConfiguration?.expression ?? '', variables, budget));
  const merged = mergeInto(object, config, resource);
  try {
    return decodeObject(Buffer.from(JSON.stringify(merged)), {
      mediaType: 'application/json',
      expect: resource,
      fieldValidation: 'Strict',
      ...(resource.custom === undefined ? {} : { custom: resource.custom }),
    }).object;
  } catch (error) {
    if (error instanceof StatusError) {
      throw new PolicyEvaluationError(`error applying patch: ${messageOf(error)}`, { cause: error });
    }
    throw error;
  }
}

function denial(request: AdmissionRequest, policy: string, binding: PolicyBinding, why: string): StatusError {
  const text = `policy '${policy}' with binding '${binding.metadata.name}' denied request: ${why}`;
  const { status } = forbidden(request.resource, request.name, text);
  return new StatusError({
    ...status,
    reason: 'Invalid',
    details: { ...status.details, causes: [{ message: text }] },
    code: 422,
  });
}
