/** What stands in a message where a secret stood. */
export const REDACTED = '[redacted]';

/** Query parameters whose values sign or authorise a request. */
const SECRET_PARAMETER =
  /^(?:.*token.*|.*secret.*|.*password.*|.*signature.*|sig|x-amz-.*|x-goog-.*|se|sp|sv|skoid|code|key|access_key.*)$/i;

/** Returns a URL without user, password and the values of signing parameters, fit for a message or a log. */
export function redactUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return text.replace(/\/\/[^/@\s]*@/, `//${REDACTED}@`);
  }
  if (url.username !== '' || url.password !== '') {
    url.username = '';
    url.password = '';
  }
  for (const name of new Set(url.searchParams.keys())) {
    if (SECRET_PARAMETER.test(name)) url.searchParams.set(name, 'redacted');
  }
  return url.toString();
}

/** Header names whose values never leave the process. */
const SECRET_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-registry-auth',
]);

/** Returns headers with the values of those that carry credentials replaced. */
export function redactHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      SECRET_HEADERS.has(name.toLowerCase()) ? REDACTED : value,
    ]),
  );
}
