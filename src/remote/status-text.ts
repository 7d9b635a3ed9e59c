import { http } from '../base/node-http.ts';

/** Prints a status as Go's `Response.Status` does: `404 Not Found`. */
export function statusText(status: number): string {
  const reason = http.STATUS_CODES[status];
  return reason === undefined ? `${status}` : `${status} ${reason}`;
}
