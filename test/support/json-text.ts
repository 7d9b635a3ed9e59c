import * as fc from 'fast-check';

/*
 * Texts for whoever reads JSON, put together as texts and not printed from values: so a name may stand twice in an object, as no
 * value has it, and a hundred thousand of them cost seconds. (Objects of fast-check cost many times as much, most of it for keeping names apart.)
 */

/** The text of one of some values. */
export function jsonOf(...values: readonly unknown[]): fc.Arbitrary<string> {
  return fc.constantFrom(...values.map((value) => JSON.stringify(value)));
}

/** One member of an object: one of the names, and a value. */
export function member(names: readonly string[], value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return memberNamed(jsonOf(...names), value);
}

/** An object of what it always has, and then of some of the members, in any order, some of them several times. */
export function objectOf(
  members: readonly fc.Arbitrary<string>[],
  always: readonly fc.Arbitrary<string>[] = [],
): fc.Arbitrary<string> {
  return fc
    .tuple(fc.tuple(...always), fc.array(fc.oneof(...members), { maxLength: 6 }))
    .map(([first, others]) => `{${[...first, ...others].join(',')}}`);
}

/** A list of such texts. */
export function listOf(item: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.array(item, { maxLength: 6 }).map((texts) => `[${texts.join(',')}]`);
}

const string = fc.string().map((value) => JSON.stringify(value));
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value));
const scalar = fc.oneof(string, number, fc.constantFrom('null', 'true', 'false'));
const nested = (inner: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof(inner, listOf(inner), objectOf([memberNamed(string, inner)]));

/** The text of any value, nested once at most. */
export const anyJson = nested(scalar);
/** The text of any value, nested twice at most. */
export const deepJson = nested(anyJson);

function memberNamed(name: fc.Arbitrary<string>, value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(name, value).map(([nameText, valueText]) => `${nameText}:${valueText}`);
}
