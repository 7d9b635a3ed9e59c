import { invalidValue } from '../field-error.ts';
import { labelValueFaults, qualifiedNameFaults } from '../validate/name-rules.ts';
import { LabelLexer, type Token } from './_label-lexer.ts';
import { SelectorError } from './selector-error.ts';

export type LabelOperator = 'in' | 'notin' | '=' | '==' | '!=' | 'exists' | '!' | 'gt' | 'lt';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  readonly values: readonly string[];
}

/** A set of requirements, all of which must hold. */
export interface LabelSelector {
  readonly requirements: readonly LabelRequirement[];
  matches(labels: Readonly<Record<string, string>> | undefined): boolean;
  /** Canonical text: requirements by key, values sorted. */
  toString(): string;
}

/** The selector inside objects: `spec.selector` of workloads, affinity terms. */
export interface LabelSelectorObject {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

/** Reads `a=b,c!=d,e in (f,g),!h`; empty text selects everything. Throws `SelectorError` with the API's text (answer 400). */
export function parseLabelSelector(text: string): LabelSelector {
  return new SelectorParser(text).parse();
}

/** Turns an object's selector into one that matches; absent selects nothing, empty everything. */
export function labelSelectorOf(selector: LabelSelectorObject | undefined): LabelSelector {
  if (selector === undefined) return nothing;
  const requirements: LabelRequirement[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({
    key,
    operator: '=',
    values: [value],
  }));
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    requirements.push({ key, operator: operatorOf(operator), values: values ?? [] });
  }
  return selectorOf(requirements);
}

/** Prints an object's selector as kubectl's tables do: `app=d,tier in (a,b)`; `<none>` when empty or absent. */
export function formatLabelSelector(selector: LabelSelectorObject | undefined): string {
  return labelSelectorOf(selector ?? {}).toString() || '<none>';
}

/** Makes a selector from requirements that are known to be valid. */
export function selectorOf(requirements: readonly LabelRequirement[]): LabelSelector {
  const sorted = requirements.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return {
    requirements: sorted,
    matches: (labels) => sorted.every((requirement) => holds(requirement, labels ?? {})),
    toString: () => sorted.map(print).join(','),
  };
}

const nothing: LabelSelector = { requirements: [], matches: () => false, toString: () => '' };

function operatorOf(name: string): LabelOperator {
  switch (name) {
    case 'In':
      return 'in';
    case 'NotIn':
      return 'notin';
    case 'Exists':
      return 'exists';
    case 'DoesNotExist':
      return '!';
    default:
      throw new SelectorError('BAD_SELECTOR', `"${name}" is not a valid label selector operator`);
  }
}

function holds(
  { key, operator, values }: LabelRequirement,
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return value !== undefined && values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case 'gt':
      return isWhole(value) && BigInt(value) > BigInt(values[0] ?? '0');
    case 'lt':
      return isWhole(value) && BigInt(value) < BigInt(values[0] ?? '0');
  }
}

function isWhole(value: string | undefined): value is string {
  return value !== undefined && /^[+-]?\d{1,19}$/.test(value);
}

function print({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${values.toSorted().join(',')})`;
    case 'gt':
      return `${key}>${values[0] ?? ''}`;
    case 'lt':
      return `${key}<${values[0] ?? ''}`;
    case '=':
    case '==':
    case '!=':
      return `${key}${operator}${values[0] ?? ''}`;
  }
}

const BINARY_OPERATORS = 'in, notin, =, ==, !=, gt, lt';

class SelectorParser {
  readonly #lexer: LabelLexer;

  constructor(text: string) {
    this.#lexer = new LabelLexer(text);
  }

  parse(): LabelSelector {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const next = this.#lexer.peek();
      if (next.kind === 'end') return selectorOf(requirements);
      if (next.kind !== 'identifier' && next.kind !== '!') {
        throw fault(`found '${next.text}', expected: !, identifier, or 'end of string'`);
      }
      requirements.push(this.#requirement());
      const after = this.#lexer.take();
      if (after.kind === 'end') return selectorOf(requirements);
      if (after.kind !== ',') throw fault(`found '${after.text}', expected: ',' or 'end of string'`);
      const following = this.#lexer.peek();
      if (following.kind !== 'identifier' && following.kind !== '!') {
        throw fault(`found '${following.text}', expected: identifier after ','`);
      }
    }
  }

  #requirement(): LabelRequirement {
    try {
      return check(this.#unchecked());
    } catch (error) {
      if (!(error instanceof SelectorError)) throw error;
      throw fault(`unable to parse requirement: ${error.message}`);
    }
  }

  #unchecked(): LabelRequirement {
    let token = this.#lexer.take();
    const negated = token.kind === '!';
    if (negated) token = this.#lexer.take();
    if (token.kind !== 'identifier') throw fault(`found '${token.text}', expected: identifier`);
    const key = token.text;
    const faults = qualifiedNameFaults(key);
    if (faults.length > 0) throw invalidText('key', key, faults);
    if (negated) return { key, operator: '!', values: [] };
    const next = this.#lexer.peek();
    if (next.kind === 'end' || next.kind === ',') return { key, operator: 'exists', values: [] };
    const operator = this.#operator();
    const values = operator === 'in' || operator === 'notin' ? this.#values() : [this.#exactValue()];
    return { key, operator, values: [...new Set(values)].toSorted() };
  }

  #operator(): LabelOperator {
    const token = this.#lexer.take('operator');
    switch (token.kind) {
      case 'in':
      case 'notin':
      case '=':
      case '==':
      case '!=':
        return token.kind;
      case '>':
        return 'gt';
      case '<':
        return 'lt';
      case '!':
      case '(':
      case ')':
      case ',':
      case 'end':
      case 'identifier':
        throw fault(`found '${token.text}', expected: ${BINARY_OPERATORS}`);
    }
  }

  #exactValue(): string {
    const next = this.#lexer.peek();
    if (next.kind === 'end' || next.kind === ',') return '';
    const token = this.#lexer.take();
    if (token.kind !== 'identifier') throw fault(`found '${token.text}', expected: identifier`);
    return token.text;
  }

  #values(): string[] {
    const open = this.#lexer.take();
    if (open.kind !== '(') throw fault(`found '${open.text}' expected: '('`);
    const next = this.#lexer.peek();
    if (next.kind === ')') {
      this.#lexer.take();
      return [];
    }
    if (next.kind !== 'identifier' && next.kind !== ',') {
      throw fault(`found '${next.text}', expected: ',', ')' or identifier`);
    }
    const values = this.#list();
    const close = this.#lexer.take();
    if (close.kind !== ')') throw fault(`found '${close.text}', expected: ')'`);
    return values;
  }

  #list(): string[] {
    const values: string[] = [];
    for (;;) {
      const token: Token = this.#lexer.take();
      const next = this.#lexer.peek();
      if (token.kind === 'identifier') {
        values.push(token.text);
        if (next.kind === ')') return values;
        if (next.kind !== ',') throw fault(`found '${next.text}', expected: ',' or ')'`);
      } else if (token.kind === ',') {
        if (values.length === 0) values.push('');
        if (next.kind === ')') return [...values, ''];
        if (next.kind === ',') {
          this.#lexer.take();
          values.push('');
        }
      } else throw fault(`found '${token.text}', expected: ',', or identifier`);
    }
  }
}

function check(requirement: LabelRequirement): LabelRequirement {
  const { key, operator, values } = requirement;
  if ((operator === 'in' || operator === 'notin') && values.length === 0) {
    throw fault("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
  }
  if ((operator === 'gt' || operator === 'lt') && !isWhole(values[0])) {
    throw invalidText('values[0]', values[0] ?? '', [
      "for 'Gt', 'Lt' operators, the value must be an integer",
    ]);
  }
  values.forEach((value, index) => {
    const faults = labelValueFaults(value);
    if (faults.length > 0) throw invalidText(`values[${index}][${key}]`, value, faults);
  });
  return requirement;
}

function invalidText(field: string, value: string, faults: readonly string[]): SelectorError {
  const error = invalidValue(field, value, faults.join('; '));
  return fault(`${error.field}: ${error.message}`);
}

function fault(message: string): SelectorError {
  return new SelectorError('BAD_SELECTOR', message);
}
