import { getOwn, isObject } from '../json/own-property.ts';

/** One step of a path: a field, here or anywhere below, an item, some or all items, or those whose field equals a value. */
type Step =
  | { readonly is: 'field'; readonly name: string }
  | { readonly is: 'descend'; readonly name: string }
  | { readonly is: 'slice'; readonly from?: number; readonly to?: number; readonly step: number }
  | { readonly is: 'index'; readonly index: number }
  | { readonly is: 'all' }
  | {
      readonly is: 'filter';
      readonly path: readonly Step[];
      readonly equals: boolean;
      readonly value: unknown;
    };

/** Steps in the order of the grammar: `..name`, `.name`, `['name']`, `[0]`, `[1:3:2]`, `[*]` or `.*`, `[?(@.a=="b")]`. */
const STEP =
  /\.\.(?<deep>[A-Za-z0-9_-]+)|\.(?<plain>[A-Za-z0-9_-]+)|\['(?<quoted>[^']*)'\]|\[(?<index>-?\d+)\]|\[(?<from>-?\d*):(?<to>-?\d*)(?::(?<by>[1-9]\d*))?\]|(?<all>\[\*\]|\.\*)|\[\?\(@(?<path>[^=!]*?)\s*(?<operator>==|!=)\s*(?<value>"[^"]*"|'[^']*'|[^)]*)\)\]/y;

/**
 * Reads a path such as `.status.conditions[?(@.type=="Ready")].status`; `undefined` when it is none that is understood.
 *
 * @param isFull takes `..name` and slices too, which definitions may not use and people at a command line may
 */
export function parseJsonPath(text: string, isFull = false): readonly Step[] | undefined {
  const steps: Step[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < text.length) {
    const at = STEP.lastIndex;
    // A dot in front of a bracket separates nothing.
    if (text.startsWith('.[', at)) STEP.lastIndex = at + 1;
    const match = STEP.exec(text);
    if (match === null) return undefined;
    const { deep, plain, quoted, index, from, to, by, all, path, operator, value } = match.groups ?? {};
    const end = STEP.lastIndex;
    if (!isFull && (deep ?? from) !== undefined) return undefined;
    if (deep !== undefined) steps.push({ is: 'descend', name: deep });
    else if (from !== undefined) steps.push(sliceOf(from, to ?? '', by ?? '1'));
    else if (plain !== undefined || quoted !== undefined)
      steps.push({ is: 'field', name: plain ?? quoted ?? '' });
    else if (index !== undefined) steps.push({ is: 'index', index: Number(index) });
    else if (all !== undefined) steps.push({ is: 'all' });
    else {
      const inner = parseJsonPath(path ?? '');
      if (inner === undefined) return undefined;
      steps.push({ is: 'filter', path: inner, equals: operator === '==', value: literal(value ?? '') });
    }
    STEP.lastIndex = end;
  }
  return steps;
}

/** Returns what a path leads to, in document order. */
export function findByPath(value: unknown, steps: readonly Step[]): unknown[] {
  let found: unknown[] = [value];
  for (const step of steps) found = found.flatMap((from) => follow(from, step));
  return found;
}

function follow(value: unknown, step: Step): unknown[] {
  switch (step.is) {
    case 'field': {
      const next = isObject(value) ? getOwn(value, step.name) : undefined;
      return next === undefined ? [] : [next];
    }
    case 'index': {
      const next: unknown = Array.isArray(value) ? value.at(step.index) : undefined;
      return next === undefined ? [] : [next];
    }
    case 'descend':
      return descend(value, step.name);
    case 'slice': {
      const items = Array.isArray(value) ? (value as unknown[]).slice(step.from, step.to) : [];
      return items.filter((_, at) => at % step.step === 0);
    }
    case 'all':
      if (Array.isArray(value)) return value as unknown[];
      return isObject(value) ? Object.values(value) : [];
    case 'filter':
      return (Array.isArray(value) ? (value as unknown[]) : []).filter((item) => {
        const actual = findByPath(item, step.path);
        return actual.length > 0 && (actual[0] === step.value) === step.equals;
      });
  }
}

function sliceOf(from: string, to: string, by: string): Step {
  return {
    is: 'slice',
    ...(from === '' ? {} : { from: Number(from) }),
    ...(to === '' ? {} : { to: Number(to) }),
    step: Number(by),
  };
}

/** What has the name here, then what has it below. */
function descend(value: unknown, name: string): unknown[] {
  const own = isObject(value) ? getOwn(value, name) : undefined;
  const below = Array.isArray(value) ? (value as unknown[]) : isObject(value) ? Object.values(value) : [];
  return [...(own === undefined ? [] : [own]), ...below.flatMap((each) => descend(each, name))];
}

function literal(text: string): unknown {
  if (/^["']/.test(text)) return text.slice(1, -1);
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}
