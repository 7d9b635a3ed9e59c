import { isDeepStrictEqual } from 'node:util';
import { ruleMatches, type OperationRule } from '../../admission/rule-match.ts';
import { undefinedFields } from '../../kube/cel/undefined-fields.ts';
import type { KubeObject } from '../../kube/object.ts';
import { structOfResource, type ResourceInfo } from '../../kube/resources.ts';
import type { StructSchema } from '../../kube/schema/schema.ts';
import { POLICY_VARIABLES } from '../../kube/validate/admission-policies.ts';
import type { ObjectStore } from '../object-store.ts';
import type { ServedResources } from '../served-resources.ts';
import { StoreError } from '../stored-object.ts';

const POLICIES = 'validatingadmissionpolicies.admissionregistration.k8s.io';
/** Kinds against which one policy's expressions are checked, as upstream bounds them. */
const MAX_KINDS = 10;

interface Policy extends KubeObject {
  spec: {
    paramKind?: { apiVersion: string; kind: string };
    matchConstraints?: { resourceRules?: OperationRule[] };
    validations?: { expression: string; messageExpression?: string }[];
    variables?: { name: string; expression: string }[];
  };
  status?: { observedGeneration?: number; typeChecking?: object };
}

/** Notes in the status of each policy that it was seen, and which fields its expressions name in vain. */
export class PolicyStatus {
  readonly #store: ObjectStore;
  readonly #served: ServedResources;
  readonly #stop: () => void;
  #closed = false;

  constructor(store: ObjectStore, served: ServedResources) {
    this.#store = store;
    this.#served = served;
    this.#stop = store.subscribe(POLICIES, ({ key, type }) => {
      if (type !== 'DELETED') queueMicrotask(() => this.#note(key.name));
    });
  }

  close(): void {
    this.#closed = true;
    this.#stop();
  }

  #note(name: string): void {
    if (this.#closed) return;
    const stored = this.#store.get({ resource: POLICIES, namespace: '', name });
    if (stored === undefined) return;
    const policy = stored.object as Policy;
    const { generation = 1 } = policy.metadata;
    if (policy.status?.observedGeneration === generation) return;
    const expressionWarnings = this.#warnings(policy);
    const status = {
      observedGeneration: generation,
      typeChecking: expressionWarnings.length === 0 ? {} : { expressionWarnings },
    };
    if (isDeepStrictEqual(status, policy.status)) return;
    try {
      this.#store.update(stored.key, stored.revision, { ...policy, status } as KubeObject);
    } catch (error) {
      // Somebody else wrote in between; that change is announced too.
      if (!(error instanceof StoreError)) throw error;
    }
  }

  #warnings({ spec }: Policy): object[] {
    const kinds = this.#kindsOf(spec.matchConstraints?.resourceRules ?? []);
    const names = spec.paramKind === undefined ? POLICY_VARIABLES : [...POLICY_VARIABLES, 'params'];
    const warnings: object[] = [];
    const look = (fieldRef: string, expression: string | undefined): void => {
      if (expression === undefined || expression === '') return;
      const texts = kinds.flatMap(([resource, struct]) => {
        const known = new Map([
          ['object', struct],
          ['oldObject', struct],
        ]);
        return undefinedFields(expression, names, known).map(
          (text) => `${resource.apiVersion}, Kind=${resource.kind}: ${text}`,
        );
      });
      if (texts.length > 0) warnings.push({ fieldRef, warning: texts.join('\n') });
    };
    (spec.validations ?? []).forEach((validation, index) => {
      look(`spec.validations[${index}].expression`, validation.expression);
      look(`spec.validations[${index}].messageExpression`, validation.messageExpression);
    });
    (spec.variables ?? []).forEach((variable, index) => {
      look(`spec.variables[${index}].expression`, variable.expression);
    });
    return warnings;
  }

  /** Only what a rule names outright is checked: a rule about everything is about no kind in particular. */
  #kindsOf(rules: readonly OperationRule[]): (readonly [ResourceInfo, StructSchema])[] {
    const isPlain = (list: readonly string[] | undefined): boolean =>
      !(list ?? []).some((text) => text.includes('*'));
    const named = rules.filter(
      (rule) => isPlain(rule.apiGroups) && isPlain(rule.apiVersions) && isPlain(rule.resources),
    );
    return this.#served.all
      .filter(({ group, version, resource, namespaced, custom }) => {
        const namespace = namespaced ? 'any' : '';
        const subject = { group, version, resource, subresource: '', namespace, name: '', operation: '' };
        return (
          custom === undefined &&
          named.some((rule) => ruleMatches({ ...rule, operations: ['*'], resourceNames: [] }, subject))
        );
      })
      .slice(0, MAX_KINDS)
      .flatMap((resource) => {
        const struct = structOfResource(resource);
        return struct === undefined ? [] : [[resource, struct] as const];
      });
  }
}
