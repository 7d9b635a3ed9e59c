/** Smallest and largest value of each of the five fields. */
const FIELDS: readonly { readonly min: number; readonly max: number; readonly names?: readonly string[] }[] =
  [
    { min: 0, max: 59 },
    { min: 0, max: 23 },
    { min: 1, max: 31 },
    {
      min: 1,
      max: 12,
      names: ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
    },
    { min: 0, max: 6, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
  ];

const DESCRIPTORS = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

/** Says what is wrong with a cron schedule of five fields or a descriptor such as `@daily`; `undefined` when nothing is. */
export function cronFault(schedule: string): string | undefined {
  if (schedule.includes('TZ')) return 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead';
  if (schedule.startsWith('@')) {
    if (DESCRIPTORS.includes(schedule)) return undefined;
    if (!schedule.startsWith('@every ')) return `unrecognized descriptor: ${schedule}`;
    const fault = durationFault(schedule.slice('@every '.length));
    return fault === undefined ? undefined : `failed to parse duration ${schedule}: ${fault}`;
  }
  const fields = schedule.trim().split(/\s+/);
  if (fields.length !== FIELDS.length || schedule.trim() === '') {
    const found = schedule.trim() === '' ? 0 : fields.length;
    return `expected exactly 5 fields, found ${found}: [${schedule.trim() === '' ? '' : fields.join(' ')}]`;
  }
  for (const [index, field] of fields.entries()) {
    for (const part of field.split(',')) {
      const fault = partFault(part, index);
      if (fault !== undefined) return fault;
    }
  }
  return undefined;
}

/** Says what Go finds wrong with a duration. */
function durationFault(text: string): string | undefined {
  const plain = text.replace(/^[+-]/, '');
  if (plain === '0' || /^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/u.test(plain)) return undefined;
  const [, rest = ''] = /^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))*(.*)$/su.exec(plain) ?? [];
  const [number = '', unit = ''] = /^(?:\d+\.?\d*|\.\d+)([^\d.]*)/u.exec(rest) ?? [];
  if (number === '') return `time: invalid duration ${JSON.stringify(text)}`;
  if (unit === '') return `time: missing unit in duration ${JSON.stringify(text)}`;
  return `time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`;
}

/** Says why Go cannot make a number of a text. */
function integerFault(text: string): string | undefined {
  const why = /^\d+$/.test(text) ? 'value out of range' : 'invalid syntax';
  if (why === 'value out of range' && BigInt(text) < 2n ** 63n) return undefined;
  return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: ${why}`;
}

function partFault(part: string, index: number): string | undefined {
  const { min, max, names } = FIELDS[index] ?? { min: 0, max: 0 };
  const [range = '', step, ...moreSteps] = part.split('/');
  const [low = '', high, ...moreHighs] = range.split('-');
  const read = (text: string): number => {
    const named = names?.indexOf(text.toLowerCase()) ?? -1;
    if (named >= 0 && text !== '') return named;
    return /^\d+$/.test(text) ? Number(text) : Number.NaN;
  };
  if (moreHighs.length > 0) return `too many hyphens: ${part}`;
  if (moreSteps.length > 0) return `too many slashes: ${part}`;
  const any = low === '*' || low === '?';
  const start = any ? min : read(low);
  const end = any ? max : high === undefined ? (step === undefined ? start : max) : read(high);
  for (const [text, value] of [
    [low, start],
    [high ?? low, end],
  ] as const) {
    const fault = Number.isSafeInteger(value) ? undefined : integerFault(text);
    if (fault !== undefined) return fault;
  }
  const stepFault = step === undefined ? undefined : integerFault(step);
  if (stepFault !== undefined) return stepFault;
  if (start < min) return `beginning of range (${start}) below minimum (${min}): ${part}`;
  if (end > max) return `end of range (${end}) above maximum (${max}): ${part}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${part}`;
  if (step !== undefined && Number(step) === 0) return `step of range should be a positive number: ${part}`;
  return undefined;
}
