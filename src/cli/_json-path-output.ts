import { findByPath, parseJsonPath } from '../kube/custom/json-path.ts';

/**
 * A piece of a template: text as it stands, a path whose findings are printed with blanks between them, or a part that is
 * repeated for each finding of a path.
 */
export type TemplatePart =
  | { readonly is: 'text'; readonly text: string }
  | { readonly is: 'path'; readonly path: Path }
  | { readonly is: 'range'; readonly path: Path; readonly parts: readonly TemplatePart[] };

type Path = NonNullable<ReturnType<typeof parseJsonPath>>;

/** Text outside braces, or what stands in one pair of them; a text in quotes may hold braces of its own. */
const PIECE = /[^{]+|\{((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^}"'])*)\}/gy;
const ESCAPES: Readonly<Record<string, string | undefined>> = { n: '\n', t: '\t', r: '\r' };

/**
 * Reads a template as kubectl's `-o jsonpath=`: paths and texts in braces, `{range PATH}…{end}`; a path alone needs no braces.
 * `undefined` when it is none.
 */
export function parseTemplate(text: string): readonly TemplatePart[] | undefined {
  if (!text.includes('{')) return parseTemplate(`{${text}}`);
  const open: { path: Path; parts: TemplatePart[] }[] = [];
  const top: TemplatePart[] = [];
  let at = 0;
  for (const [piece, braced] of text.matchAll(PIECE)) {
    at += piece.length;
    const parts = open.at(-1)?.parts ?? top;
    if (braced === undefined) {
      parts.push({ is: 'text', text: piece });
      continue;
    }
    const inside = braced.trim();
    if (inside === 'end') {
      const range = open.pop();
      if (range === undefined) return undefined;
      (open.at(-1)?.parts ?? top).push({ is: 'range', ...range });
      continue;
    }
    if (/^(["']).*\1$/s.test(inside)) {
      parts.push({ is: 'text', text: unescaped(inside.slice(1, -1)) });
      continue;
    }
    const range = /^range\s+(.*)$/s.exec(inside);
    const path = pathOf(range?.[1] ?? inside);
    if (path === undefined) return undefined;
    if (range === null) parts.push({ is: 'path', path });
    else open.push({ path, parts: [] });
  }
  return at === text.length && open.length === 0 ? top : undefined;
}

/** Prints what a template says of a value; what is not there prints nothing. */
export function printTemplate(value: unknown, parts: readonly TemplatePart[]): string {
  return parts
    .map((part) => {
      switch (part.is) {
        case 'text':
          return part.text;
        case 'path':
          return findByPath(value, part.path).map(printed).join(' ');
        case 'range':
          return findByPath(value, part.path)
            .map((each) => printTemplate(each, part.parts))
            .join('');
      }
    })
    .join('');
}

/** `$` and `@` name what the path begins at, and `.` alone is all of it. */
function pathOf(text: string): Path | undefined {
  const path = text.trim().replace(/^[$@]/, '');
  if (path === '.' || (path === '' && text.trim() !== '')) return [];
  return path === '' ? undefined : parseJsonPath(path, true);
}

function printed(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter);
}
