import { readBody, headerOf, type Answer } from './exchange.ts';
import { printableUrl } from './printable-url.ts';
import { RemoteError, type RemoteErrorCode } from './remote-error.ts';
import { statusText } from './status-text.ts';

/** Bytes of an error body that are read: enough for any registry's reason, too few to hurt. */
const MAX_ERROR_BODY_BYTES = 64_000;

/** The longest reason passed on to people; events are cut at 1,024 bytes anyway. */
const MAX_REASON_LENGTH = 1_024;

/** Makes the error of an answer with a status nobody wanted, and ends its body (rule 17.12). */
export async function unexpectedStatus(answer: Answer): Promise<RemoteError> {
  const reason = answer.method === 'HEAD' ? await endedBody(answer) : await reasonOf(answer);
  const base = `unexpected status from ${answer.method} request to ${printableUrl(answer.url)}: ${statusText(answer.status)}`;
  return new RemoteError(codeOf(answer.status), reason === '' ? base : `${base}\n${reason}`, {
    status: answer.status,
    retryAfterMs: retryAfter(answer, Date.now()),
    retryable: answer.status === 408 || answer.status === 429 || answer.status >= 500,
  });
}

function codeOf(status: number): RemoteErrorCode {
  if (status === 401) return 'UNAUTHORIZED';
  if (status === 403) return 'DENIED';
  if (status === 404) return 'NOT_FOUND';
  if (status === 408) return 'TIMEOUT';
  if (status === 413) return 'TOO_LARGE';
  if (status === 429) return 'RATE_LIMITED';
  if (status >= 500) return 'SERVER_ERROR';
  return status >= 400 ? 'REJECTED' : 'BAD_RESPONSE';
}

/**
 * Reads `Retry-After` (seconds or a date) as milliseconds from `now`; undefined when absent or nonsense.
 *
 * @see RFC 9110, section 10.2.3
 */
export function retryAfter(answer: Pick<Answer, 'headers'>, now: number): number | undefined {
  const value = headerOf(answer, 'retry-after')?.trim();
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

async function endedBody(answer: Answer): Promise<string> {
  await answer.body.dump().catch(() => answer.body.destroy());
  return '';
}

async function reasonOf(answer: Answer): Promise<string> {
  let text: string;
  try {
    text = (await readBody(answer, MAX_ERROR_BODY_BYTES)).toString('utf8');
  } catch {
    // The status says what happened; an unreadable explanation adds nothing.
    return '';
  }
  return formatRegistryErrors(text).slice(0, MAX_REASON_LENGTH);
}

/** Prints the `errors` of a registry's JSON body as `code: message`; empty for any other body. */
export function formatRegistryErrors(body: string): string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return '';
  }
  if (typeof parsed !== 'object' || parsed === null || !Object.hasOwn(parsed, 'errors')) return '';
  const { errors } = parsed as { errors: unknown };
  const lines = (Array.isArray(errors) ? errors : []).flatMap((error: unknown) => {
    if (typeof error !== 'object' || error === null) return [];
    const { code, message } = error as { code?: unknown; message?: unknown };
    const name = typeof code === 'string' ? code.toLowerCase().replaceAll('_', ' ') : 'unknown';
    return [printable(typeof message === 'string' && message !== '' ? `${name}: ${message}` : name)];
  });
  if (lines.length <= 1) return lines[0] ?? '';
  return `errors:\n${lines.map((line) => `${line}\n`).join('')}`;
}

/** Replaces control characters, which a hostile registry could use to rewrite a terminal. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\uFFFD');
}
