import type { Environment } from '@marcbachmann/cel-js';
import { adderTo } from './_add-functions.ts';

const FORM =
  /^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

/** A semantic version as expressions hold it. */
class Semver {
  readonly numbers: readonly bigint[];
  readonly pre: readonly string[];

  constructor(text: string) {
    const match = FORM.exec(text);
    if (match === null) throw new RangeError(`invalid semantic version: ${text}`);
    this.numbers = [match[1], match[2], match[3]].map((part) => BigInt(part ?? '0'));
    this.pre = match[4]?.split('.') ?? [];
  }
}

/** Adds `semver()` and what versions can do. */
export function addVersions(env: Environment): void {
  const add = adderTo(env);
  const type = 'kubernetes.Semver';
  env.registerType(type, { ctor: Semver, fields: {} });
  add(`semver(string): ${type}`, (text: string) => new Semver(text));
  add(
    `semver(string, bool): ${type}`,
    (text: string, loose: boolean) => new Semver(loose ? normal(text) : text),
  );
  add('isSemver(string): bool', (text: string) => FORM.test(text));
  add('isSemver(string, bool): bool', (text: string, loose: boolean) =>
    FORM.test(loose ? normal(text) : text),
  );
  ['major', 'minor', 'patch'].forEach((name, index) => {
    add(`${type}.${name}(): int`, (version: Semver) => version.numbers[index]);
  });
  add(`${type}.compareTo(${type}): int`, (a: Semver, b: Semver) => BigInt(compare(a, b)));
  add(`${type}.isGreaterThan(${type}): bool`, (a: Semver, b: Semver) => compare(a, b) > 0);
  add(`${type}.isLessThan(${type}): bool`, (a: Semver, b: Semver) => compare(a, b) < 0);
  env.registerOperator(`${type} == ${type}`, (a: Semver, b: Semver) => compare(a, b) === 0);
}

/** Takes away a leading `v` and zeros, and adds what is missing. */
function normal(text: string): string {
  const [core = '', ...rest] = text.replace(/^v/, '').split(/(?=[-+])/);
  const parts = core.split('.').map((part) => part.replace(/^0+(?=[0-9])/, ''));
  while (parts.length < 3) parts.push('0');
  return [parts.join('.'), ...rest].join('');
}

function compare(a: Semver, b: Semver): number {
  for (const index of [0, 1, 2]) {
    const [left = 0n, right = 0n] = [a.numbers[index], b.numbers[index]];
    if (left !== right) return left < right ? -1 : 1;
  }
  if (a.pre.length === 0 || b.pre.length === 0)
    return b.pre.length - a.pre.length > 0 ? 1 : a.pre.length > 0 ? -1 : 0;
  for (let index = 0; index < Math.max(a.pre.length, b.pre.length); index++) {
    const [left, right] = [a.pre[index], b.pre[index]];
    if (left === right) continue;
    if (left === undefined) return -1;
    if (right === undefined) return 1;
    const numeric = [left, right].map((part) => /^[0-9]+$/.test(part));
    if (numeric[0] === true && numeric[1] === true) return BigInt(left) < BigInt(right) ? -1 : 1;
    if (numeric[0] !== numeric[1]) return numeric[0] === true ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return 0;
}
