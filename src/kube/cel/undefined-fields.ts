import type { ASTNode } from '@marcbachmann/cel-js';
import { structIn, type StructSchema, type TypeSchema } from '../schema/schema.ts';
import { mark } from './_error-text.ts';
import { astOf } from './cel-program.ts';

/**
 * Lists the fields that an expression asks of a variable although its kind does not have them, worded and marked as a
 * failed compilation would be. Only plain chains such as `object.spec.replicas` are followed.
 *
 * @param kinds the struct of each variable whose kind is known
 */
export function undefinedFields(
  source: string,
  variables: readonly string[],
  kinds: ReadonlyMap<string, StructSchema>,
): string[] {
  const found: string[] = [];
  const visit = (value: unknown): TypeSchema | StructSchema | undefined => {
    if (Array.isArray(value)) {
      value.forEach(visit);
      return undefined;
    }
    if (!isNode(value)) return undefined;
    if (value.op === 'id') return kinds.get(value.args);
    if (value.op !== '.') {
      visit(value.args);
      return undefined;
    }
    const [target, name] = value.args;
    const struct = structFor(visit(target));
    if (struct === undefined) return undefined;
    const field = struct.fields.get(name);
    if (field !== undefined) return field.type;
    found.push(mark(source, source.indexOf('.', target.end), `undefined field '${name}'`));
    return undefined;
  };
  visit(astOf(source, variables));
  return found;
}

function structFor(type: TypeSchema | StructSchema | undefined): StructSchema | undefined {
  if (type === undefined) return undefined;
  if ('fields' in type) return type;
  return type.is === 'struct' ? structIn(type) : undefined;
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}
