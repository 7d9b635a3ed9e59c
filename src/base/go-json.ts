/** Prints JSON as Go does: what HTML or JavaScript would take for its own is escaped. */
export function goJson(value: unknown, indent = 0): string {
  return JSON.stringify(value, undefined, indent).replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
