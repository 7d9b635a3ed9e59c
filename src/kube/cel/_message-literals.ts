/** Names that begin a message literal: objects to apply, and operations of a JSON patch. */
const MESSAGE = /^(?:Object(?:\.[A-Za-z_][A-Za-z0-9_]*)*|JSONPatch)$/;
const WORD = /[A-Za-z_][A-Za-z0-9_.]*/y;
const TEXT = /[rRbB]{0,2}(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')/y;
const SPACE = /(?:\s|\/\/[^\n]*)+/y;

/**
 * Rewrites message literals (`Object.spec{replicas: 1}`, `JSONPatch{op: "add"}`) as maps, which is what they come to:
 * the field names become texts. Everything else stays as it is, at its place in its line.
 */
export function withoutMessageLiterals(source: string): string {
  if (!/\b(?:Object|JSONPatch)\b/.test(source)) return source;
  const frames: ('message' | 'other')[] = [];
  let out = '';
  let at = 0;
  /** A field name may come next. */
  let fresh = false;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  while (at < source.length) {
    const plain = take(SPACE) ?? take(TEXT);
    if (plain !== undefined) {
      out += plain;
      at += plain.length;
      if (plain.trim() !== '' && !plain.trimStart().startsWith('//')) fresh = false;
      continue;
    }
    const word = take(WORD);
    if (word !== undefined) {
      at += word.length;
      const rest = source.slice(at);
      if (MESSAGE.test(word) && /^\s*\{/.test(rest)) {
        at += rest.indexOf('{') + 1;
        out += '{';
        frames.push('message');
        fresh = true;
      } else if (fresh && frames.at(-1) === 'message' && /^\s*:/.test(rest)) {
        out += JSON.stringify(word);
        fresh = false;
      } else {
        out += word;
        fresh = false;
      }
      continue;
    }
    const sign = source[at] ?? '';
    if (sign === '{' || sign === '[' || sign === '(') frames.push('other');
    if (sign === '}' || sign === ']' || sign === ')') frames.pop();
    // `?field: value` leaves the field out when the optional value is absent: an absent one is dropped later anyway.
    const isOptionalField = sign === '?' && fresh;
    if (!isOptionalField) {
      out += sign;
      fresh = sign === ',' && frames.at(-1) === 'message';
    }
    at += 1;
  }
  return out;
}
