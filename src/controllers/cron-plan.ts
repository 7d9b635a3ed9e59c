import { formatTime } from '../kube/time.ts';
import type { CronSchedule } from './cron-schedule.ts';

/* Which time of a schedule is due. Pure: no clock, no network. */

/** Beyond so many missed times a clock jumped, or nobody ran the schedule for long. */
export const MISSED_TOO_MANY = 100;
const SECOND_MS = 1000;

/** @param since when it last ran, or was made */
export function dueTime(
  schedule: CronSchedule,
  since: number,
  deadlineSeconds: number | undefined,
  now: number,
): { due?: number; missed: number } {
  const from = deadlineSeconds === undefined ? since : Math.max(since, now - deadlineSeconds * SECOND_MS);
  const first = schedule.next(from);
  if (first === undefined || first > now) return { missed: 0 };
  const second = schedule.next(first);
  if (second === undefined || second > now) return { due: first, missed: 1 };
  const step = second - first;
  const missed = Math.floor((now - first) / step) + 1;
  // Years of missed times are not walked through: looked for backwards in ever larger steps.
  let due = first;
  for (let span = step; now - span > first; span *= 2) {
    const time = schedule.next(now - span);
    if (time === undefined || time > now) continue;
    due = time;
    break;
  }
  for (let time = schedule.next(due); time !== undefined && time <= now; time = schedule.next(time))
    due = time;
  return { due, missed };
}

/** Tells whether a time was due so long ago that it is passed over. */
export function isTooLate(due: number, deadlineSeconds: number | undefined, now: number): boolean {
  return deadlineSeconds !== undefined && due + deadlineSeconds * SECOND_MS < now;
}

/** Prints a time as mail does: `Mon, 02 Jan 2006 15:04:05 +0000`. */
export function mailTime(time: number): string {
  return new Date(time).toUTCString().replace(/GMT$/, '+0000');
}

/** Prints a time by the clocks of a zone: `2006-01-02T15:04:05+01:00`, in UTC with `Z`. */
export function localTime(time: number, zone: string | undefined): string {
  if (zone === undefined || zone === '') return formatTime(time);
  const format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
  const name = format.formatToParts(time).find(({ type }) => type === 'timeZoneName')?.value ?? 'GMT';
  const match = /^GMT([+-])(\d{2}):(\d{2})/.exec(name);
  if (match === null) return formatTime(time);
  const [, sign, hours, minutes] = match;
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1);
  if (offset === 0) return formatTime(time);
  return formatTime(time + offset).replace('Z', `${sign ?? '+'}${hours ?? '00'}:${minutes ?? '00'}`);
}
