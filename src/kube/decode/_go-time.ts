/** One element of Go's layout of a time: a literal text, or digits between two bounds. */
type Element =
  | string
  | {
      readonly layout: string;
      readonly digits: number;
      readonly named?: string;
      readonly max?: number;
      readonly min?: number;
    };

const ELEMENTS: readonly Element[] = [
  { layout: '2006', digits: 4 },
  '-',
  { layout: '01', digits: 2, named: 'month', min: 1, max: 12 },
  '-',
  { layout: '02', digits: 2 },
  'T',
  { layout: '15', digits: 2, named: 'hour', max: 23 },
  ':',
  { layout: '04', digits: 2, named: 'minute', max: 59 },
  ':',
  { layout: '05', digits: 2, named: 'second', max: 59 },
];

/**
 * Says what Go finds wrong with a time in RFC 3339; `undefined` when it is good. Times with microseconds must have
 * exactly six digits of them.
 */
export function timeFault(text: string, withMicros: boolean): string | undefined {
  const layout = withMicros ? '2006-01-02T15:04:05.000000Z07:00' : '2006-01-02T15:04:05Z07:00';
  const quoted = JSON.stringify(text);
  const misfit = (rest: string, element: string): string =>
    `parsing time ${quoted} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(rest)} as ${JSON.stringify(element)}`;
  let rest = text;
  for (const element of ELEMENTS) {
    if (typeof element === 'string') {
      if (!rest.startsWith(element)) return misfit(rest, element);
      rest = rest.slice(element.length);
      continue;
    }
    const digits = rest.slice(0, element.digits);
    if (digits.length < element.digits || !/^\d+$/.test(digits)) return misfit(rest, element.layout);
    const { named, min = 0, max = Number.POSITIVE_INFINITY } = element;
    if (Number(digits) < min || Number(digits) > max) {
      return `parsing time ${quoted}: ${named ?? ''} out of range`;
    }
    rest = rest.slice(element.digits);
  }
  if (withMicros) {
    if (!/^\.\d{6}/.test(rest)) return misfit(rest, '.000000');
    rest = rest.slice(7);
  } else rest = rest.replace(/^[.,]\d+/, '');
  const zone = /^(?:Z|[+-]\d{2}:\d{2})/.exec(rest)?.[0];
  if (zone === undefined) return misfit(rest, 'Z07:00');
  rest = rest.slice(zone.length);
  if (rest !== '') return `parsing time ${quoted}: extra text: ${JSON.stringify(rest)}`;
  const [year, month, day] = [text.slice(0, 4), text.slice(5, 7), text.slice(8, 10)].map(Number);
  const isDay = (day ?? 0) >= 1 && (day ?? 0) <= new Date(Date.UTC(year ?? 0, month ?? 0, 0)).getUTCDate();
  return isDay ? undefined : `parsing time ${quoted}: day out of range`;
}
