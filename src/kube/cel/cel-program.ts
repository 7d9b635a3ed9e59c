import {
  Environment,
  EvaluationError,
  ParseError,
  TypeError as CelTypeError,
  type ASTNode,
  type ParseResult,
} from '@marcbachmann/cel-js';
import { LruMap } from '../../base/lru-map.ts';
import { addAuthorizer } from './cel-authorizer.ts';
import { CelError } from './cel-error.ts';
import { explain } from './_error-text.ts';
import { addFormats } from './_formats.ts';
import { addLists } from './_lists.ts';
import { addMacros } from './_macros.ts';
import { withoutMessageLiterals } from './_message-literals.ts';
import { CALL_LIMIT, meterNodes, runMetered, type CelBudget } from './_meter.ts';
import { addNetwork } from './_network.ts';
import { addQuantityType } from './_quantities.ts';
import { addStrings } from './_strings.ts';
import { addVersions } from './_versions.ts';

export type { CelBudget } from './_meter.ts';

/** A compiled expression. */
export interface CelProgram {
  /** `bool`, `string`, `dyn`, …: what the expression is known to give. */
  readonly type: string;
  /**
   * Runs the expression over values made by `toCel`.
   *
   * @throws CelError `EVALUATE`, `COST`
   */
  run(variables: Readonly<Record<string, unknown>>, budget?: CelBudget): unknown;
}

/** Steps that all expressions of one policy or one object's rules may take together, as in kube-apiserver. */
export const POLICY_BUDGET = 10 * CALL_LIMIT;
/** Expressions kept compiled: a few hundred policies' worth. */
const MAX_PROGRAMS = 2_000;

const programs = new LruMap<string, CelProgram | CelError>(MAX_PROGRAMS);
const environments = new Map<string, Environment>();
let base: Environment | undefined;
let known: ReadonlySet<string> | undefined;

/**
 * Compiles an expression that may use the variables named.
 *
 * @throws CelError `COMPILE` whose message has the form of kube-apiserver's
 */
export function compileCel(source: string, variables: readonly string[]): CelProgram {
  const key = JSON.stringify([variables, source]);
  let program = programs.get(key);
  if (program === undefined) {
    program = compile(source, variables);
    programs.set(key, program);
  }
  if (program instanceof CelError) throw program;
  return program;
}

/** Returns what an expression was parsed into. Throws CelError `COMPILE`, or what the library throws. */
export function astOf(source: string, variables: readonly string[]): ASTNode {
  return environmentOf(variables).parse(withoutMessageLiterals(source)).ast;
}

function compile(source: string, variables: readonly string[]): CelProgram | CelError {
  let parsed: ParseResult;
  let type: string;
  try {
    parsed = environmentOf(variables).parse(withoutMessageLiterals(source));
    const checked = parsed.check();
    if (!checked.valid) throw checked.error ?? new Error('not valid');
    type = checked.type ?? 'dyn';
  } catch (error) {
    return new CelError('COMPILE', `compilation failed: ${explain(error, source, functionNames())}`, {
      cause: error,
    });
  }
  meterNodes(parsed.ast);
  return {
    type,
    run: (values, budget = { left: CALL_LIMIT }) => {
      try {
        return runMetered(() => parsed(values) as unknown, budget);
      } catch (error) {
        if (error instanceof CelError) throw error;
        throw new CelError('EVALUATE', runtimeText(error), { cause: error });
      }
    },
  };
}

function runtimeText(error: unknown): string {
  if (error instanceof EvaluationError || error instanceof CelTypeError || error instanceof ParseError) {
    return error.summary.replace(/^No such key: index/, 'index').replace(/^No such key/, 'no such key');
  }
  return error instanceof Error ? error.message : String(error);
}

function environmentOf(variables: readonly string[]): Environment {
  const key = variables.join(',');
  const made = environments.get(key);
  if (made !== undefined) return made;
  base ??= makeBase();
  const env = base.clone();
  for (const name of variables) env.registerVariable(name, 'dyn');
  environments.set(key, env);
  return env;
}

function functionNames(): ReadonlySet<string> {
  base ??= makeBase();
  return (known ??= new Set(base.getDefinitions().functions.map(({ name }) => name)));
}

function makeBase(): Environment {
  const env = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false });
  addStrings(env);
  addLists(env);
  addQuantityType(env);
  addNetwork(env);
  addVersions(env);
  addFormats(env);
  addAuthorizer(env);
  addMacros(env);
  return env;
}
