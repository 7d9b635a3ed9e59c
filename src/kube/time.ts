/** The second printed last: a server prints the same one again and again. */
let printed = { second: Number.NaN, text: '' };

/** Prints `2026-01-02T03:04:05Z` (metav1.Time); fractions are cut. */
export function formatTime(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== printed.second) {
    printed = { second, text: `${new Date(ms).toISOString().slice(0, 19)}Z` };
  }
  return printed.text;
}

/** Prints `2026-01-02T03:04:05.000006Z` (metav1.MicroTime). */
export function formatMicroTime(ms: number): string {
  const micros = Math.floor((ms - Math.floor(ms)) * 1000 + 1e-6);
  const text = new Date(Math.floor(ms)).toISOString();
  return `${text.slice(0, 23)}${String(micros).padStart(3, '0')}Z`;
}

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(\.\d+)?(?:Z|([+-])(\d{2}):(\d{2}))$/;

/** Reads RFC 3339 into milliseconds, microseconds kept as a fraction; `undefined` when it is not a time. */
export function parseTime(text: string): number | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  if (
    year === undefined ||
    month === undefined ||
    day === undefined ||
    hour === undefined ||
    minute === undefined ||
    second === undefined
  )
    return undefined;
  if (month < 1 || month > 12 || day < 1 || day > new Date(Date.UTC(year, month, 0)).getUTCDate())
    return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const fraction = match[7] === undefined ? 0 : Number(`0${match[7]}`);
  const offset =
    match[8] === undefined ? 0 : (Number(match[9]) * 60 + Number(match[10])) * (match[8] === '-' ? -1 : 1);
  return (
    Date.UTC(year, month - 1, day, hour, minute, second) - offset * 60_000 + Math.round(fraction * 1e6) / 1000
  );
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/** Prints an age as kubectl does: `5s`, `3m12s`, `4h5m`, `2d3h`, `80d`, `2y3d`; `<invalid>` for the far future. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / SECOND);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(ms / MINUTE);
  if (minutes < 10) return withRest(`${minutes}m`, seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(ms / HOUR);
  if (hours < 8) return withRest(`${hours}h`, minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(ms / DAY);
  if (days < 8) return withRest(`${days}d`, hours % 24, 'h');
  if (days < 365 * 2) return `${days}d`;
  const years = Math.trunc(ms / YEAR);
  if (years < 8) return withRest(`${years}y`, days % 365, 'd');
  return `${years}y`;
}

function withRest(text: string, rest: number, unit: string): string {
  return rest === 0 ? text : `${text}${rest}${unit}`;
}
