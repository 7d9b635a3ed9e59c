import type { OperationRule } from '../../admission/rule-match.ts';
import type { CelBudget } from '../../kube/cel/cel-program.ts';
import { compileCel } from '../../kube/cel/cel-program.ts';
import { CelError } from '../../kube/cel/cel-error.ts';
import { toCel } from '../../kube/cel/cel-values.ts';
import { messageOf } from '../../base/coded-error.ts';
import type { KubeObject } from '../../kube/object.ts';
import type { LabelSelectorObject } from '../../kube/selector/label-selector.ts';
import type { ObjectStore } from '../object-store.ts';
import type { MatchCriteria } from './match-request.ts';
import { StoredObjects, type MatchCondition } from './webhook-configuration.ts';

export interface MatchResources {
  readonly resourceRules?: readonly OperationRule[];
  readonly excludeResourceRules?: readonly OperationRule[];
  readonly matchPolicy?: string;
  readonly namespaceSelector?: LabelSelectorObject;
  readonly objectSelector?: LabelSelectorObject;
}

export interface PolicyVariable {
  readonly name: string;
  readonly expression: string;
}

/** What policies that check and policies that change have in common. */
export interface PolicySpec {
  readonly failurePolicy?: 'Fail' | 'Ignore';
  readonly paramKind?: { readonly apiVersion: string; readonly kind: string };
  readonly matchConstraints?: MatchResources;
  readonly matchConditions?: readonly MatchCondition[];
  readonly variables?: readonly PolicyVariable[];
}

export interface AdmissionPolicy<Spec extends PolicySpec> extends KubeObject {
  readonly spec: Spec;
}

export interface ParamRef {
  readonly name?: string;
  readonly namespace?: string;
  readonly selector?: LabelSelectorObject;
  readonly parameterNotFoundAction?: string;
}

export interface PolicyBinding extends KubeObject {
  readonly spec: {
    readonly policyName: string;
    readonly paramRef?: ParamRef;
    readonly matchResources?: MatchResources;
    readonly validationActions?: readonly ('Deny' | 'Warn' | 'Audit')[];
  };
}

/** A policy with the bindings that put it to use. */
export interface BoundPolicy<Spec extends PolicySpec> {
  readonly policy: AdmissionPolicy<Spec>;
  readonly bindings: readonly PolicyBinding[];
}

/** Keeps the policies of a kind that are bound, by name. */
export function boundPolicies<Spec extends PolicySpec>(
  store: ObjectStore,
  kind: 'validating' | 'mutating',
): StoredObjects<readonly BoundPolicy<Spec>[]> {
  const group = 'admissionregistration.k8s.io';
  const resources = [`${kind}admissionpolicies.${group}`, `${kind}admissionpolicybindings.${group}`];
  return new StoredObjects(store, resources, (objects) => {
    const named = objects.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const bindings = named.filter((object) => object.kind.endsWith('Binding')) as PolicyBinding[];
    return named
      .filter((object): object is AdmissionPolicy<Spec> => !object.kind.endsWith('Binding'))
      .map((policy) => ({
        policy,
        bindings: bindings.filter(({ spec }) => spec.policyName === policy.metadata.name),
      }))
      .filter((bound) => bound.bindings.length > 0);
  });
}

/** Says to which requests the part of a policy or binding applies. */
export function criteriaOf(match: MatchResources | undefined): MatchCriteria {
  const { resourceRules, excludeResourceRules, ...rest } = match ?? {};
  return {
    ...rest,
    ...(resourceRules === undefined ? {} : { rules: resourceRules }),
    ...(excludeResourceRules === undefined ? {} : { excludeRules: excludeResourceRules }),
  };
}

/** An expression of a policy that failed while it ran. */
export class PolicyEvaluationError extends Error {}

/** Runs an expression. Throws PolicyEvaluationError. */
export function evaluate(
  expression: string,
  variables: Readonly<Record<string, unknown>>,
  budget: CelBudget,
): unknown {
  try {
    return compileCel(expression, Object.keys(variables)).run(variables, budget);
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    throw new PolicyEvaluationError(`expression '${expression}' resulted in error: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Adds `variables`, each of which is computed when first asked for, once. */
export function withVariables(
  base: Readonly<Record<string, unknown>>,
  declared: readonly PolicyVariable[] | undefined,
  budget: CelBudget,
): Record<string, unknown> {
  const values = Object.create(null) as Record<string, unknown>;
  const all = { ...base, variables: values };
  for (const { name, expression } of declared ?? []) {
    let known: { readonly value: unknown } | undefined;
    Object.defineProperty(values, name, {
      enumerable: true,
      get: () => (known ??= { value: compute(name, expression, all, budget) }).value,
    });
  }
  return all;
}

function compute(
  name: string,
  expression: string,
  variables: Readonly<Record<string, unknown>>,
  budget: CelBudget,
): unknown {
  try {
    return compileCel(expression, Object.keys(variables)).run(variables, budget);
  } catch (error) {
    if (!(error instanceof CelError) || error.code === 'COST') throw error;
    throw new CelError('EVALUATE', `composited variable "${name}" fails to evaluate: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Returns the namespace that a request is for, as `namespaceObject`; null for what belongs to the cluster. */
export function namespaceObject(store: ObjectStore, namespaced: boolean, namespace: string): unknown {
  if (!namespaced) return null;
  const found = store.get({ resource: 'namespaces', namespace: '', name: namespace })?.object;
  return toCel(found ?? null);
}
