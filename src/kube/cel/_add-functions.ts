import type { Environment } from '@marcbachmann/cel-js';

/** Adds one function by its signature. */
export type AddFunction = (signature: string, handler: (...args: never[]) => unknown) => void;

/** Returns what adds functions to an environment, all of which answer at once. */
export function adderTo(env: Environment): AddFunction {
  return (signature, handler) => {
    env.registerFunction(signature, handler, { async: false });
  };
}

/** Makes a name whose functions are called with a dot, as in `sets.contains(a, b)`. */
export function addNamespace(env: Environment, name: string): string {
  const type = `${name}Namespace`;
  const ctor = class {
    readonly named = name;
  };
  env.registerType(type, ctor);
  env.registerConstant(name, type, new ctor());
  return type;
}
