import { CodedError } from '../../base/coded-error.ts';
import { setOwn } from './own-property.ts';

/** Text that is not JSON, worded as Go's decoder words it: `unexpected end of JSON input`. */
export class JsonError extends CodedError<'BAD_JSON' | 'TOO_DEEP'> {}

/** Deeper nesting is refused as Go's decoder does, before the recursion here could exhaust the stack. */
export const maxJsonDepth = 10_000;

/** Our own bound for API bodies: no kind nests deeper than a few dozen levels, patches included. */
export const maxBodyDepth = 512;

export interface ParseJsonOptions {
  /** Called for each repeated key with its path, such as `spec.containers[0].image`. The last value wins. */
  readonly onDuplicate?: (path: string) => void;
  /** Nesting that is refused with `TOO_DEEP`; `maxBodyDepth` when absent. */
  readonly maxDepth?: number;
}

/**
 * Parses JSON into plain objects. `__proto__` becomes an ordinary own property.
 *
 * @throws JsonError with Go's texts
 */
export function parseJson(text: string, options: ParseJsonOptions = {}): unknown {
  return new Parser(text, options).document();
}

class Parser {
  readonly #text: string;
  readonly #onDuplicate: ((path: string) => void) | undefined;
  readonly #maxDepth: number;
  readonly #path: (string | number)[] = [];
  #at = 0;

  constructor(text: string, options: ParseJsonOptions) {
    this.#text = text;
    this.#onDuplicate = options.onDuplicate;
    this.#maxDepth = Math.min(options.maxDepth ?? maxBodyDepth, maxJsonDepth);
  }

  document(): unknown {
    const value = this.#value(0);
    this.#skipWhite();
    if (this.#at < this.#text.length) throw this.#unexpected('after top-level value');
    return value;
  }

  #value(depth: number): unknown {
    if (depth > this.#maxDepth) throw new JsonError('TOO_DEEP', 'exceeded max depth');
    this.#skipWhite();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      case 't':
        return this.#literal('true', true);
      case 'f':
        return this.#literal('false', false);
      case 'n':
        return this.#literal('null', null);
      case undefined:
      default:
        return this.#number();
    }
  }

  #object(depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.#at += 1;
    this.#skipWhite();
    if (this.#text[this.#at] === '}') {
      this.#at += 1;
      return object;
    }
    for (;;) {
      this.#skipWhite();
      if (this.#text[this.#at] !== '"') throw this.#unexpected('looking for beginning of object key string');
      const key = this.#string();
      this.#skipWhite();
      if (this.#text[this.#at] !== ':') throw this.#unexpected('after object key');
      this.#at += 1;
      this.#path.push(key);
      const repeated = Object.hasOwn(object, key);
      if (repeated) this.#onDuplicate?.(formatPath(this.#path));
      setOwn(object, key, this.#value(depth + 1));
      this.#path.pop();
      this.#skipWhite();
      const end = this.#text[this.#at];
      if (end !== ',' && end !== '}') throw this.#unexpected('after object key:value pair');
      this.#at += 1;
      if (end === '}') return object;
    }
  }

  #array(depth: number): unknown[] {
    const array: unknown[] = [];
    this.#at += 1;
    this.#skipWhite();
    if (this.#text[this.#at] === ']') {
      this.#at += 1;
      return array;
    }
    for (;;) {
      this.#path.push(array.length);
      array.push(this.#value(depth + 1));
      this.#path.pop();
      this.#skipWhite();
      const end = this.#text[this.#at];
      if (end !== ',' && end !== ']') throw this.#unexpected('after array element');
      this.#at += 1;
      if (end === ']') return array;
    }
  }

  #string(): string {
    const start = this.#at;
    for (let at = start + 1; at < this.#text.length; at += 1) {
      const code = this.#text.charCodeAt(at);
      if (code === 0x22) {
        this.#at = at + 1;
        const raw = this.#text.slice(start, at + 1);
        return raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
      }
      if (code === 0x5c) at = this.#escape(at);
      else if (code < 0x20) {
        this.#at = at;
        throw this.#unexpected('in string literal');
      }
    }
    throw new JsonError('BAD_JSON', 'unexpected end of JSON input');
  }

  /** Checks the escape that begins at `at` and returns the index of its last character. */
  #escape(at: number): number {
    const kind = this.#text[at + 1];
    if (kind === undefined || '"\\/bfnrt'.includes(kind)) return at + 1;
    if (kind !== 'u') {
      this.#at = at + 1;
      throw this.#unexpected('in string escape code');
    }
    for (let digit = at + 2; digit < at + 6; digit += 1) {
      const char = this.#text[digit];
      if (char !== undefined && /[0-9a-fA-F]/.test(char)) continue;
      this.#at = digit;
      throw this.#unexpected('in \\u hexadecimal character escape');
    }
    return at + 5;
  }

  #literal<T>(word: string, value: T): T {
    for (let index = 1; index < word.length; index += 1) {
      if (this.#text[this.#at + index] === word[index]) continue;
      this.#at += index;
      throw this.#unexpected(`in literal ${word} (expecting ${quoteChar(word[index] ?? '')})`);
    }
    this.#at += word.length;
    return value;
  }

  #number(): number {
    const start = this.#at;
    const first = this.#text[this.#at];
    if (first === undefined || !/[-0-9]/.test(first))
      throw this.#unexpected('looking for beginning of value');
    if (first === '-') {
      this.#at += 1;
      if (!this.#isDigit()) throw this.#unexpected('in numeric literal');
    }
    if (this.#text[this.#at] === '0') this.#at += 1;
    else this.#digits();
    if (this.#text[this.#at] === '.') {
      this.#at += 1;
      if (!this.#isDigit()) throw this.#unexpected('after decimal point in numeric literal');
      this.#digits();
    }
    if (/[eE]/.test(this.#text[this.#at] ?? '')) {
      this.#at += 1;
      if (/[-+]/.test(this.#text[this.#at] ?? '')) this.#at += 1;
      if (!this.#isDigit()) throw this.#unexpected('in exponent of numeric literal');
      this.#digits();
    }
    return Number(this.#text.slice(start, this.#at));
  }

  #digits(): void {
    while (this.#isDigit()) this.#at += 1;
  }

  #isDigit(): boolean {
    const code = this.#text.charCodeAt(this.#at);
    return code >= 0x30 && code <= 0x39;
  }

  #skipWhite(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  #unexpected(where: string): JsonError {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) return new JsonError('BAD_JSON', 'unexpected end of JSON input');
    return new JsonError('BAD_JSON', `invalid character ${quoteChar(String.fromCodePoint(code))} ${where}`);
  }
}

/** Prints a path as field errors do: `spec.containers[0].image`. */
export function formatPath(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? part : `.${part}`;
  }
  return text;
}

/** Quotes a character as Go's decoder does: the first byte of a longer one, as Latin-1. */
function quoteChar(char: string): string {
  if (char === "'") return "'\\''";
  if (char === '"') return "'\"'";
  if (char === '\\') return "'\\\\'";
  const byte = Buffer.from(char)[0] ?? 0;
  const escapes: Readonly<Record<number, string>> = {
    7: '\\a',
    8: '\\b',
    9: '\\t',
    10: '\\n',
    11: '\\v',
    12: '\\f',
    13: '\\r',
  };
  const escape = escapes[byte];
  if (escape !== undefined) return `'${escape}'`;
  if (byte < 0x20 || byte === 0x7f) return `'\\x${byte.toString(16).padStart(2, '0')}'`;
  if (byte >= 0x80 && byte < 0xa1) return `'\\u00${byte.toString(16)}'`;
  return `'${String.fromCharCode(byte)}'`;
}
