/** What follows `<EOF>` in the message of an expression that ends too early. */
const EXPECTED =
  "expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

interface LibraryError {
  readonly code: string;
  readonly summary: string;
  readonly range?: { readonly start: number };
  readonly node?: { readonly op?: string; readonly start: number; readonly args?: unknown };
}

/** Words a failed compilation as cel-go does: place, reason, and the line with a mark below. */
export function explain(error: unknown, source: string, functions: ReadonlySet<string>): string {
  return mark(source, isLibraryError(error) ? placeOf(error, source) : 0, reasonOf(error, functions));
}

/** Prints a finding at a place of an expression. */
export function mark(source: string, at: number, reason: string): string {
  const before = source.slice(0, at);
  const line = before.split('\n').length;
  const column = at - (before.lastIndexOf('\n') + 1);
  const text = source.split('\n')[line - 1] ?? '';
  return `ERROR: <input>:${line}:${column + 1}: ${reason}\n | ${text}\n | ${'.'.repeat(column)}^`;
}

/** An operator is blamed at its sign, a call at its bracket. */
function placeOf(error: LibraryError, source: string): number {
  const { node, range } = error;
  const start = range?.start ?? 0;
  if (node === undefined) return start;
  const args: readonly unknown[] = Array.isArray(node.args) ? node.args : [];
  const ends = args.map((arg) =>
    typeof arg === 'object' && arg !== null && 'end' in arg ? Number(arg.end) : undefined,
  );
  const from =
    node.op === 'call' ? node.start : node.op === 'rcall' ? ends[1] : args.length === 2 ? ends[0] : undefined;
  if (from === undefined) return start;
  const sign = node.op === 'call' || node.op === 'rcall' ? '(' : (node.op ?? '');
  const found = source.indexOf(sign, from);
  return found < 0 ? start : found;
}

function reasonOf(error: unknown, functions: ReadonlySet<string>): string {
  if (!isLibraryError(error)) return error instanceof Error ? error.message : String(error);
  const { code, summary } = error;
  switch (code) {
    case 'unknown_variable':
      return `undeclared reference to '${summary.replace(/^Unknown variable: /, '')}' (in container '')`;
    case 'no_such_overload': {
      const match = /^no such overload: (\S+) (\S+) (\S+)$/.exec(summary);
      if (match === null) return summary;
      return `found no matching overload for '_${match[2]}_' applied to '(${match[1]}, ${match[3]})'`;
    }
    case 'no_matching_overload': {
      const match = /^found no matching overload for '(?:(.*)\.)?([A-Za-z0-9_]+)\((.*)\)'$/.exec(summary);
      if (match === null) return summary;
      const [, receiver, name = '', args] = match;
      if (!functions.has(name)) return `undeclared reference to '${name}' (in container '')`;
      const applied = receiver === undefined ? `(${args})` : `${receiver}.(${args})`;
      return `found no matching overload for '${name}' applied to '${applied}'`;
    }
    case 'unexpected_token':
      return `Syntax error: ${summary.endsWith('EOF') ? `mismatched input '<EOF>' ${EXPECTED}` : summary}`;
    default:
      return code.includes('unexpected') || code === 'parse_error' ? `Syntax error: ${summary}` : summary;
  }
}

function isLibraryError(error: unknown): error is LibraryError {
  return error instanceof Error && 'summary' in error && 'code' in error;
}
