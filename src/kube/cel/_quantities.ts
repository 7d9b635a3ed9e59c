import type { Environment } from '@marcbachmann/cel-js';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  isQuantity,
  quantityValue,
} from '../quantity.ts';
import { adderTo } from './_add-functions.ts';

/** An amount such as `1Gi`, as expressions hold it. */
class Quantity {
  readonly text: string;

  constructor(text: string) {
    this.text = canonicalQuantity(text);
  }

  toString(): string {
    return this.text;
  }
}

const MAX_INT = 2n ** 63n - 1n;

/** Adds `quantity()` and what amounts can do. */
export function addQuantityType(env: Environment): void {
  const add = adderTo(env);
  const type = 'kubernetes.Quantity';
  env.registerType(type, { ctor: Quantity, fields: {} });
  add(`quantity(string): ${type}`, (text: string) => new Quantity(text));
  add('isQuantity(string): bool', (text: string) => isQuantity(text));
  add(`${type}.isInteger(): bool`, (amount: Quantity) => whole(amount) !== undefined);
  add(`${type}.asInteger(): int`, (amount: Quantity) => {
    const value = whole(amount);
    if (value === undefined) throw new RangeError('cannot convert value to integer');
    return value;
  });
  add(`${type}.asApproximateFloat(): double`, (amount: Quantity) => quantityValue(amount.text));
  add(`${type}.sign(): int`, (amount: Quantity) => BigInt(compareQuantities(amount.text, '0')));
  add(
    `${type}.add(${type}): ${type}`,
    (a: Quantity, b: Quantity) => new Quantity(addQuantities(a.text, b.text)),
  );
  add(
    `${type}.add(int): ${type}`,
    (a: Quantity, b: bigint) => new Quantity(addQuantities(a.text, String(b))),
  );
  add(
    `${type}.sub(${type}): ${type}`,
    (a: Quantity, b: Quantity) => new Quantity(addQuantities(a.text, negated(b.text))),
  );
  add(
    `${type}.sub(int): ${type}`,
    (a: Quantity, b: bigint) => new Quantity(addQuantities(a.text, String(-b))),
  );
  add(`${type}.compareTo(${type}): int`, (a: Quantity, b: Quantity) =>
    BigInt(compareQuantities(a.text, b.text)),
  );
  add(
    `${type}.isGreaterThan(${type}): bool`,
    (a: Quantity, b: Quantity) => compareQuantities(a.text, b.text) > 0,
  );
  add(
    `${type}.isLessThan(${type}): bool`,
    (a: Quantity, b: Quantity) => compareQuantities(a.text, b.text) < 0,
  );
  env.registerOperator(
    `${type} == ${type}`,
    (a: Quantity, b: Quantity) => compareQuantities(a.text, b.text) === 0,
  );
}

function negated(text: string): string {
  return text.startsWith('-') ? text.slice(1) : `-${text}`;
}

function whole(amount: Quantity): bigint | undefined {
  const value = quantityValue(amount.text);
  if (!Number.isInteger(value)) return undefined;
  const integer = BigInt(value);
  return integer > MAX_INT || integer < -MAX_INT ? undefined : integer;
}
