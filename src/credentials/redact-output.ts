import { REDACTED } from '../observe/redact.ts';

/*
 * Lengths are bounded: the text is another program's, and an open-ended search over a long line takes time by its square.
 */

/** Names of fields and options whose values are secrets, as programs print them. */
const NAMED_SECRET =
  /(["']?[\w-]{0,40}(?:password|passwd|secret|token|authorization|api[_-]?key|access[_-]?key|credential)[\w-]{0,40}["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|(?:Bearer |Basic )?[^\s,;}&]+)/gi;
const BEARER = /\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/gi;
const JWT = /\beyJ[\w-]{4,4096}\.[\w-]{1,8192}\.[\w-]*/g;
const USERINFO = /\/\/[^/@\s]+@/g;

/**
 * Takes secrets out of text that another program printed, so that it may be shown: the values given, anything that looks like
 * a token, and values of fields named like secrets.
 */
export function redactOutput(text: string, secrets: readonly string[] = []): string {
  let shown = text;
  for (const secret of secrets) {
    if (secret !== '') shown = shown.replaceAll(secret, REDACTED);
  }
  return shown
    .replaceAll(BEARER, `$1 ${REDACTED}`)
    .replaceAll(JWT, REDACTED)
    .replaceAll(USERINFO, `//${REDACTED}@`)
    .replaceAll(NAMED_SECRET, `$1${REDACTED}`);
}
