import { constants } from 'node:os';
import { RuntimeError } from './runtime-error.ts';

/** Reads `SIGTERM`, `TERM` or `15`, as STOPSIGNAL of an image and `stopSignal` of a Pod allow. */
export function parseSignal(text: string): number {
  const name = text.trim().toUpperCase();
  if (/^\d+$/.test(name)) {
    const number = Number(name);
    if (number >= 1 && number <= 64) return number;
  }
  const realtime = /^(?:SIG)?RTM(IN|AX)([+-]\d+)?$/.exec(name);
  if (realtime !== null) {
    // glibc keeps the first two real-time signals for itself.
    const number = (realtime[1] === 'IN' ? 34 : 64) + Number(realtime[2] ?? 0);
    if (number >= 34 && number <= 64) return number;
  }
  const full = name.startsWith('SIG') ? name : `SIG${name}`;
  const signals: Readonly<Record<string, number>> = constants.signals;
  const number = Object.hasOwn(signals, full) ? signals[full] : undefined;
  if (number === undefined) throw new RuntimeError('INVALID', `Cannot read signal "${text}": not a signal`);
  return number;
}
