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
  if (schedule.includes('TZ=')) return 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead';
  if (schedule.startsWith('@')) {
    if (DESCRIPTORS.includes(schedule) || /^@every (\d+(\.\d+)?(ns|us|ms|s|m|h))+$/.test(schedule))
      return undefined;
    return `unrecognized descriptor: ${schedule}`;
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
    if (Number.isNaN(value))
      return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
  }
  if (step !== undefined && !/^\d+$/.test(step)) {
    return `failed to parse int from ${step}: strconv.Atoi: parsing ${JSON.stringify(step)}: invalid syntax`;
  }
  if (start < min) return `beginning of range (${start}) below minimum (${min}): ${part}`;
  if (end > max) return `end of range (${end}) above maximum (${max}): ${part}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${part}`;
  if (step !== undefined && Number(step) === 0) return `step of range should be a positive number: ${part}`;
  return undefined;
}
