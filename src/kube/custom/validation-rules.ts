import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../base/coded-error.ts';
import { CelError } from '../cel/cel-error.ts';
import { compileCel, POLICY_BUDGET, type CelBudget } from '../cel/cel-program.ts';
import { optionalOf } from '../cel/cel-values.ts';
import { forbiddenField, invalidValue, required, type FieldError } from '../field-error.ts';
import { getOwn, isObject } from '../json/own-property.ts';
import { typedValue } from './_typed-values.ts';
import { valuesOf, type StructuralSchema } from './structural-schema.ts';

/** One rule of `x-kubernetes-validations`. */
export interface ValidationRule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

/** Errors after which rules would speak of things that are not there. */
const BLOCKING: ReadonlySet<string> = new Set([
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

/** Letters of a message that an expression makes, as upstream bounds them. */
const MAX_MESSAGE = 5 * 1024;

/** Returns the rules of a schema. */
export function rulesOf(schema: StructuralSchema): readonly ValidationRule[] {
  return (schema['x-kubernetes-validations'] ?? []) as readonly ValidationRule[];
}

/** Tells whether a rule compares with the value before. */
export function isTransition({ rule, optionalOldSelf }: ValidationRule): boolean {
  return optionalOldSelf !== true && /(?<![\w.])oldSelf\b/.test(rule);
}

/**
 * Checks a custom object against the rules of its schema.
 *
 * @param old the object before the change; absent on create
 * @param found what the schema itself found; with some errors rules are not asked
 */
export function validateRules(
  object: unknown,
  old: unknown,
  schema: StructuralSchema,
  found: readonly FieldError[],
): FieldError[] {
  if (!hasRules(schema)) return [];
  if (found.some(({ type }) => BLOCKING.has(type))) {
    return [
      {
        type: 'FieldValueInvalid',
        field: '<nil>',
        message:
          'Invalid value: null: some validation rules were not checked because the object was invalid; ' +
          'correct the existing errors to complete validation',
      },
    ];
  }
  const errors: FieldError[] = [];
  const budget: CelBudget = { left: POLICY_BUDGET };
  new Walk(errors, budget).visit(object, old, schema, '', true);
  return errors;
}

const known = new WeakMap<StructuralSchema, boolean>();

function hasRules(schema: StructuralSchema): boolean {
  let has = known.get(schema);
  if (has === undefined) {
    has = JSON.stringify(schema).includes('"x-kubernetes-validations":');
    known.set(schema, has);
  }
  return has;
}

class Walk {
  readonly #errors: FieldError[];
  readonly #budget: CelBudget;
  #spent = false;

  constructor(errors: FieldError[], budget: CelBudget) {
    this.#errors = errors;
    this.#budget = budget;
  }

  /** @param old what the value was; `undefined` when there was none or it cannot be told which it was */
  visit(value: unknown, old: unknown, schema: StructuralSchema, path: string, root = false): void {
    if (this.#spent || value === undefined || (value === null && schema.nullable !== true)) return;
    const isSame = old !== undefined && isDeepStrictEqual(value, old);
    for (const rule of rulesOf(schema)) {
      // What has not changed is not held against its author.
      if (isSame && !isTransition(rule)) continue;
      if (isTransition(rule) && old === undefined) continue;
      this.#check(rule, value, old, schema, path, root);
      if (this.#spent) return;
    }
    if (Array.isArray(value)) this.#items(value, old, schema, path);
    else if (isObject(value)) this.#properties(value, isObject(old) ? old : undefined, schema, path);
  }

  #items(list: readonly unknown[], old: unknown, schema: StructuralSchema, path: string): void {
    const { items } = schema;
    if (items === undefined) return;
    const keys =
      schema['x-kubernetes-list-type'] === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : [];
    const identity = (item: unknown): string =>
      JSON.stringify(keys.map((key) => (isObject(item) ? (getOwn(item, key) ?? null) : null)));
    const before = new Map(
      keys.length > 0 && Array.isArray(old)
        ? old.map((item): [string, unknown] => [identity(item), item])
        : [],
    );
    list.forEach((item, index) => {
      this.visit(item, before.get(identity(item)), items, `${path}[${index}]`);
    });
  }

  #properties(
    value: Readonly<Record<string, unknown>>,
    old: Readonly<Record<string, unknown>> | undefined,
    schema: StructuralSchema,
    path: string,
  ): void {
    const values = valuesOf(schema);
    for (const [key, child] of Object.entries(value)) {
      if (path === '' && key === 'metadata') continue;
      const own = getOwn(schema.properties ?? {}, key) as StructuralSchema | undefined;
      const childSchema = own ?? values;
      if (childSchema === undefined) continue;
      const at = own === undefined ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
      this.visit(child, old === undefined ? undefined : getOwn(old, key), childSchema, at);
    }
  }

  #check(
    rule: ValidationRule,
    value: unknown,
    old: unknown,
    schema: StructuralSchema,
    path: string,
    root: boolean,
  ): void {
    const self = typedValue(value, schema, root);
    const before = old === undefined ? undefined : typedValue(old, schema, root);
    const names = usesOld(rule)
      ? { self, oldSelf: rule.optionalOldSelf === true ? optionalOf(before) : before }
      : { self };
    try {
      const passed = compileCel(rule.rule, Object.keys(names)).run(names, this.#budget);
      if (passed === true) return;
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      this.#report(rule, schema, path, this.#failureText(rule, error));
      return;
    }
    const made = this.#message(rule, names);
    const text = made ?? ruleText(rule);
    this.#errors.push(errorOf(rule, schema, `${path}${fieldPath(rule)}`, text));
  }

  #failureText(rule: ValidationRule, error: CelError): string {
    if (error.code === 'COST') {
      if (this.#budget.left < 0) {
        this.#spent = true;
        return 'validation failed due to running out of cost budget, no further validation rules will be run';
      }
      this.#spent = true;
      return `no further validation rules will be run due to call cost exceeds limit for rule: ${ruleText(rule)}`;
    }
    const why = messageOf(error);
    if (/^(?:no such overload|found no matching overload)/.test(why)) {
      return `call arguments did not match a supported operator, function or macro signature for rule: ${ruleText(rule)}`;
    }
    return `${why} evaluating rule: ${ruleText(rule)}`;
  }

  #report(_rule: ValidationRule, schema: StructuralSchema, path: string, text: string): void {
    this.#errors.push(invalidValue(path === '' ? '<nil>' : path, schema.type ?? '', text));
  }

  #message(rule: ValidationRule, names: Readonly<Record<string, unknown>>): string | undefined {
    const { messageExpression = '' } = rule;
    if (messageExpression === '') return undefined;
    try {
      const made = compileCel(messageExpression, Object.keys(names)).run(names, this.#budget);
      const text = typeof made === 'string' ? made.trim() : '';
      return text === '' || text.includes('\n') || text.length > MAX_MESSAGE ? undefined : text;
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      return undefined;
    }
  }
}

function usesOld({ rule, messageExpression = '' }: ValidationRule): boolean {
  return /(?<![\w.])oldSelf\b/.test(`${rule} ${messageExpression}`);
}

function ruleText({ rule, message = '' }: ValidationRule): string {
  return message === '' ? `failed rule: ${rule.trim()}` : message.trim();
}

/** Turns `.spec['a.b']` into the end of a field's path. */
function fieldPath({ fieldPath: path = '' }: ValidationRule): string {
  return path.replaceAll(/\['([^']*)'\]/g, (_whole, key: string) =>
    /^\w+$/.test(key) ? `.${key}` : `[${key}]`,
  );
}

function errorOf(rule: ValidationRule, schema: StructuralSchema, path: string, text: string): FieldError {
  const field = path === '' ? '<nil>' : path.replace(/^\./, '');
  switch (rule.reason) {
    case 'FieldValueForbidden':
      return forbiddenField(field, text);
    case 'FieldValueRequired':
      return required(field, text);
    case 'FieldValueDuplicate':
      return { type: 'FieldValueDuplicate', field, message: `Duplicate value: "${schema.type ?? ''}"` };
    case undefined:
    default:
      return invalidValue(field, schema.type ?? '', text);
  }
}
