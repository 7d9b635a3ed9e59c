import type { ASTNode } from '@marcbachmann/cel-js';
import { CelError } from './cel-error.ts';

/** Steps that one run of one expression may take: kube-apiserver's limit of one call. */
export const CALL_LIMIT = 1_000_000;
/** Letters or items that count as one step when an expression makes them. */
const SIZE_OF_STEP = 10;

/** Steps that are left to a group of expressions, such as all rules of one policy. */
export interface CelBudget {
  left: number;
}

type Run = (evaluator: unknown, node: unknown, context: unknown) => unknown;

/** What the library's nodes have beside what it declares: the method that runs them, and what a macro became. */
interface Runnable {
  evaluate: Run;
  readonly args: unknown;
  readonly meta: { readonly alternate?: unknown; readonly macro?: unknown };
}

let running: { left: number; readonly budget: CelBudget } | undefined;
/** One for all: it may be thrown a million times by a loop that swallows it. */
const exceeded = new CelError('COST', 'operation cancelled: actual cost limit exceeded');

/** Runs an expression whose nodes are metered. Throws CelError `COST`. */
export function runMetered(run: () => unknown, budget: CelBudget): unknown {
  const outer = running;
  const mine = { left: Math.min(CALL_LIMIT, budget.left), budget };
  running = mine;
  try {
    const result = run();
    // A quantifier may have swallowed the refusal.
    if (mine.left < 0) throw exceeded;
    return result;
  } finally {
    running = outer;
  }
}

/** Makes every node of a checked expression pay for what it does. */
export function meterNodes(root: ASTNode): void {
  const seen = new Set<unknown>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (Array.isArray(value)) {
      value.forEach(visit);
      return;
    }
    if (isRunnable(value)) {
      meter(value);
      visit(value.args);
      visit(value.meta.alternate);
      visit(value.meta.macro);
      return;
    }
    for (const child of Object.values(value)) if (isRunnable(child) || Array.isArray(child)) visit(child);
  };
  visit(root);
}

function isRunnable(value: unknown): value is Runnable {
  return (
    typeof value === 'object' && value !== null && 'evaluate' in value && 'op' in value && 'meta' in value
  );
}

function meter(node: Runnable): void {
  let inner = node.evaluate;
  const outer: Run = (evaluator, ast, context) => {
    charge(1);
    const result = inner.call(node, evaluator, ast, context);
    if (typeof result === 'string' || Array.isArray(result)) charge(Math.floor(result.length / SIZE_OF_STEP));
    return result;
  };
  // The library replaces a node's method by a quicker one at the first run; the meter stays around it.
  Object.defineProperty(node, 'evaluate', {
    configurable: true,
    enumerable: false,
    get: () => outer,
    set: (next: Run) => {
      inner = next;
    },
  });
}

function charge(steps: number): void {
  if (running === undefined) return;
  running.left -= steps;
  running.budget.left -= steps;
  if (running.left < 0) throw exceeded;
}
