import { Optional, type ASTNode, type Environment } from '@marcbachmann/cel-js';

/* What the library hands to a macro, as far as it is used here. */
interface Scope {
  forkWithVariable(name: string, type: unknown): Scope;
  reuse(scope: Scope): Scope;
  setIterValue(value: unknown, runner: Runner): Scope;
}
interface Checker {
  check(node: ASTNode, scope: Scope): unknown;
  getType(name: string): unknown;
}
interface Runner {
  run(node: ASTNode, scope: Scope): unknown;
}
interface MacroCall {
  readonly args: readonly ASTNode[];
  readonly receiver: ASTNode;
}

function nameOf(node: ASTNode | undefined): string {
  if (node?.op !== 'id') throw new SyntaxError('argument must be a simple name');
  return node.args;
}

/** Adds macros over optional values and over the keys and values of lists and maps together. */
export function addMacros(env: Environment): void {
  const optional = (name: string, wrap: (value: unknown) => unknown): void => {
    env.registerFunction(`optional.${name}(ast, ast): optional<dyn>`, (call: MacroCall) => {
      const [variable, body] = call.args;
      if (body === undefined) throw new SyntaxError(`${name} takes two arguments`);
      const as = nameOf(variable);
      let inner: Scope;
      return {
        receiver: call.receiver,
        body,
        typeCheck: (checker: Checker, _macro: unknown, scope: Scope) => {
          checker.check(call.receiver, scope);
          inner = scope.forkWithVariable(as, checker.getType('dyn'));
          checker.check(body, inner);
          return checker.getType('optional');
        },
        evaluate: (runner: Runner, _macro: unknown, scope: Scope) => {
          const given = runner.run(call.receiver, scope);
          if (!(given instanceof Optional) || !given.hasValue()) return Optional.none();
          return wrap(runner.run(body, inner.reuse(scope).setIterValue(given.value(), runner)));
        },
      };
    });
  };
  optional('optMap', (value) => Optional.of(value));
  optional('optFlatMap', (value) => value);
  twoVariables(env, 'all', 'bool', (each) => each.every(([, value]) => value() === true));
  twoVariables(env, 'exists', 'bool', (each) => each.some(([, value]) => value() === true));
  twoVariables(env, 'existsOne', 'bool', (each) => each.filter(([, value]) => value() === true).length === 1);
  twoVariables(env, 'transformList', 'list', (each) => each.map(([, value]) => value()));
  twoVariables(env, 'transformMap', 'map', (each) => {
    const map = Object.create(null) as Record<string, unknown>;
    for (const [key, value] of each) map[String(key)] = value();
    return map;
  });
}

function twoVariables(
  env: Environment,
  name: string,
  result: string,
  finish: (each: [unknown, () => unknown][]) => unknown,
): void {
  const make = (call: MacroCall): object => {
    const [first, second, body] = call.args;
    if (body === undefined) throw new SyntaxError(`${name} takes three arguments`);
    const [key, value] = [nameOf(first), nameOf(second)];
    let outer: Scope;
    let inner: Scope;
    return {
      receiver: call.receiver,
      body,
      typeCheck: (checker: Checker, _macro: unknown, scope: Scope) => {
        checker.check(call.receiver, scope);
        outer = scope.forkWithVariable(key, checker.getType('dyn'));
        inner = outer.forkWithVariable(value, checker.getType('dyn'));
        checker.check(body, inner);
        return checker.getType(result);
      },
      evaluate: (runner: Runner, _macro: unknown, scope: Scope) => {
        const given = runner.run(call.receiver, scope);
        const each = entriesOf(given).map(([itemKey, item]): [unknown, () => unknown] => [
          itemKey,
          () => {
            const keyed = outer.reuse(scope).setIterValue(itemKey, runner);
            return runner.run(body, inner.reuse(keyed).setIterValue(item, runner));
          },
        ]);
        return finish(each);
      },
    };
  };
  for (const receiver of ['list', 'map']) {
    env.registerFunction(`${receiver}.${name}(ast, ast, ast): ${result}`, make);
  }
}

function entriesOf(value: unknown): [unknown, unknown][] {
  if (Array.isArray(value)) return value.map((item, index): [unknown, unknown] => [BigInt(index), item]);
  if (value instanceof Map) return [...value.entries()];
  if (typeof value === 'object' && value !== null) return Object.entries(value);
  throw new TypeError('no such overload');
}
