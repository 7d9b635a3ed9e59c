import { messageOf } from '../../base/coded-error.ts';
import { CelError } from '../../kube/cel/cel-error.ts';
import { compileCel, POLICY_BUDGET, type CelBudget } from '../../kube/cel/cel-program.ts';
import type { MatchCondition } from './webhook-configuration.ts';

/**
 * Tells whether all conditions hold. One that is false decides, even when others cannot be evaluated; otherwise what
 * could not be evaluated is in `error`.
 */
export function evaluateConditions(
  conditions: readonly MatchCondition[],
  variables: Readonly<Record<string, unknown>>,
  budget: CelBudget = { left: POLICY_BUDGET },
): { readonly matches: boolean; readonly error?: string } {
  const errors: string[] = [];
  for (const { expression } of conditions) {
    try {
      const result = compileCel(expression, Object.keys(variables)).run(variables, budget);
      if (result === false) return { matches: false };
      if (result !== true) errors.push(`match condition ${expression} did not evaluate to a bool`);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      errors.push(`expression '${expression}' resulted in error: ${messageOf(error)}`);
    }
  }
  if (errors.length === 0) return { matches: true };
  const unique = [...new Set(errors)];
  return { matches: false, error: unique.length === 1 ? (unique[0] ?? '') : `[${unique.join(', ')}]` };
}
