import { readFileSync } from 'node:fs';

/** Names the present run of the machine; a new one after every boot. Empty where the system has no such thing. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}
