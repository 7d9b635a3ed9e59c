import { CodedError } from '../base/coded-error.ts';

/*
 * minute hour day-of-month month day-of-week, each `*`, a number or name, a range `a-b`, a step `x/n`, or a list of these.
 * `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually` and `@every DURATION` stand for whole schedules.
 * When both days are restricted, either one is enough, as in Vixie cron.
 */

export class CronError extends CodedError<'BAD_SCHEDULE' | 'BAD_TIME_ZONE'> {}

export interface CronSchedule {
  /** Returns the first time after `time` (both milliseconds); undefined when none comes within five years. */
  next(time: number): number | undefined;
}

const MACROS: Readonly<Record<string, string | undefined>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const HORIZON = 5 * 366 * DAY;

interface Field {
  readonly values: ReadonlySet<number>;
  readonly isStar: boolean;
}

/**
 * Reads a schedule in a time zone (IANA name; UTC when absent).
 *
 * @throws CronError
 */
export function parseCron(text: string, timeZone = 'UTC'): CronSchedule {
  const trimmed = text.trim();
  const every = /^@every (\d+)(s|m|h)$/.exec(trimmed);
  if (every !== null) {
    const unit = { s: 1000, m: MINUTE, h: 60 * MINUTE }[every[2] as 's' | 'm' | 'h'];
    const interval = Math.max(1000, Number(every[1]) * unit);
    return { next: (time) => Math.floor(time / 1000) * 1000 + interval };
  }
  const macro = Object.hasOwn(MACROS, trimmed) ? MACROS[trimmed] : undefined;
  const parts = (macro ?? trimmed).split(/\s+/);
  if (parts.length !== 5) {
    throw new CronError(
      'BAD_SCHEDULE',
      `expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`,
    );
  }
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = parts;
  const minutes = parseField(minute, 0, 59);
  const hours = parseField(hour, 0, 23);
  const days = parseField(day, 1, 31);
  const months = parseField(month, 1, 12, MONTHS);
  const weekdays = parseField(weekday.replaceAll('7', '0'), 0, 6, DAYS);
  const clock = localClock(timeZone);
  const isDay = (local: LocalTime): boolean => {
    if (!months.values.has(local.month)) return false;
    const byMonth = days.values.has(local.day);
    const byWeek = weekdays.values.has(local.weekday);
    return days.isStar || weekdays.isStar ? byMonth && byWeek : byMonth || byWeek;
  };
  return {
    next(time) {
      let at = (Math.floor(time / MINUTE) + 1) * MINUTE;
      const end = time + HORIZON;
      while (at <= end) {
        const local = clock(at);
        if (!isDay(local)) {
          // To the next local midnight; an hour short of it when the clocks change, which the loop mends.
          at += Math.max(
            MINUTE,
            DAY - (local.hour * 60 + local.minute) * MINUTE - 60 * MINUTE * (local.hour < 22 ? 1 : 0),
          );
        } else if (!hours.values.has(local.hour)) at += (60 - local.minute) * MINUTE;
        else if (!minutes.values.has(local.minute)) at += MINUTE;
        else return at;
      }
      return undefined;
    },
  };
}

function parseField(text: string, least: number, most: number, names: readonly string[] = []): Field {
  const values = new Set<number>();
  let isStar = false;
  const number = (word: string): number => {
    const name = names.indexOf(word.toLowerCase());
    const value = name >= 0 ? name + least : /^\d+$/.test(word) ? Number(word) : Number.NaN;
    if (!(value >= least && value <= most)) {
      throw new CronError(
        'BAD_SCHEDULE',
        `failed to parse "${text}": "${word}" is not between ${least} and ${most}`,
      );
    }
    return value;
  };
  for (const part of text.split(',')) {
    const [range = '', step, ...rest] = part.split('/');
    if (rest.length > 0 || (step !== undefined && !/^[1-9]\d*$/.test(step))) {
      throw new CronError('BAD_SCHEDULE', `failed to parse "${text}": bad step in "${part}"`);
    }
    let first = least;
    let last = most;
    if (range === '*' || range === '?') isStar ||= step === undefined;
    else {
      const [from = '', to] = range.split('-');
      first = number(from);
      last = to === undefined ? (step === undefined ? first : most) : number(to);
      if (last < first)
        throw new CronError(
          'BAD_SCHEDULE',
          `failed to parse "${text}": beginning of "${part}" is beyond its end`,
        );
    }
    for (let value = first; value <= last; value += Number(step ?? 1)) values.add(value);
  }
  return { values, isStar };
}

interface LocalTime {
  readonly month: number;
  readonly day: number;
  readonly weekday: number;
  readonly hour: number;
  readonly minute: number;
}

function localClock(timeZone: string): (at: number) => LocalTime {
  // The usual zone has no use for a calendar, which takes a good part of a millisecond to make.
  if (timeZone === 'UTC') return universalTime;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      month: 'numeric',
      day: 'numeric',
      weekday: 'short',
      hour: 'numeric',
      minute: 'numeric',
      hourCycle: 'h23',
    });
  } catch (error) {
    throw new CronError('BAD_TIME_ZONE', `unknown time zone ${timeZone}`, { cause: error });
  }
  return (at) => {
    const parts = new Map(format.formatToParts(at).map((part) => [part.type, part.value]));
    const value = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
    return {
      month: value('month'),
      day: value('day'),
      weekday: DAYS.indexOf((parts.get('weekday') ?? '').toLowerCase()),
      hour: value('hour'),
      minute: value('minute'),
    };
  };
}

function universalTime(at: number): LocalTime {
  const date = new Date(at);
  return {
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    weekday: date.getUTCDay(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
  };
}
