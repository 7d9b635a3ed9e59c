import { goQuote } from '../base/go-quote.ts';
import { CredentialError } from './credential-error.ts';

/*
 * JSON as Go's encoding/json reads it: bytes in, members in document order with duplicates kept, and Go's error texts.
 * The kubelet shows these texts to users as waiting reasons (rule 4.12), so they are part of the behaviour.
 * The tree has arrays of pairs instead of objects: a key such as `__proto__` is text like any other.
 */

export type JsonNode =
  | { readonly kind: 'null' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'array'; readonly items: JsonNode[] }
  | { readonly kind: 'object'; readonly members: (readonly [key: string, value: JsonNode])[] };

/** Nesting that Go's decoder accepts; deeper input is an error there and here. */
const MAX_DEPTH = 10_000;

interface OpenArray {
  readonly node: JsonNode & { kind: 'array' };
}
interface OpenObject {
  readonly node: JsonNode & { kind: 'object' };
  key: string;
}

/**
 * Parses one JSON text. Never recurses, so depth cannot exhaust the stack.
 *
 * @throws CredentialError `BAD_JSON` with the text of Go's `json.SyntaxError`
 */
export function parseGoJson(input: string | Uint8Array): JsonNode {
  const bytes =
    typeof input === 'string'
      ? Buffer.from(input, 'utf8')
      : Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  const scanner = new Scanner(bytes);
  const open: (OpenArray | OpenObject)[] = [];
  for (;;) {
    const value = scanner.startValue();
    let done: JsonNode;
    if (value.kind === 'array' || value.kind === 'object') {
      if (open.length >= MAX_DEPTH) throw new CredentialError('BAD_JSON', 'exceeded max depth');
      if (value.kind === 'array') {
        if (!scanner.take(']')) {
          open.push({ node: value });
          continue;
        }
      } else if (!scanner.take('}')) {
        open.push({ node: value, key: scanner.key() });
        continue;
      }
    }
    done = value;
    // Close everything that ends here; stop at the first container that goes on.
    let more = false;
    while (!more) {
      const top = open.at(-1);
      if (top === undefined) {
        scanner.end();
        return done;
      }
      if ('key' in top) {
        top.node.members.push([top.key, done]);
        if (scanner.take(',')) {
          top.key = scanner.key();
          more = true;
        } else {
          scanner.expect('}', 'after object key:value pair');
        }
      } else {
        top.node.items.push(done);
        if (scanner.take(',')) more = true;
        else scanner.expect(']', 'after array element');
      }
      if (!more) {
        done = top.node;
        open.pop();
      }
    }
  }
}

/** Compares field names as Go matches them to struct fields: ASCII case and the two letters that fold to ASCII are ignored. */
export function sameFieldName(key: string, lowerCaseName: string): boolean {
  if (key === lowerCaseName) return true;
  return (
    key
      .replaceAll('\u017f', 's')
      .replaceAll('\u212a', 'k')
      .replaceAll(/[A-Z]/g, (c) => c.toLowerCase()) === lowerCaseName
  );
}

class Scanner {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Reads a scalar, or the opening of a container that the caller fills. */
  startValue(): JsonNode {
    this.#space();
    const byte = this.#peek();
    switch (byte) {
      case 0x7b:
        this.#at++;
        return { kind: 'object', members: [] };
      case 0x5b:
        this.#at++;
        return { kind: 'array', items: [] };
      case 0x22:
        return { kind: 'string', value: this.#string() };
      case 0x74:
        this.#literal('true');
        return { kind: 'bool', value: true };
      case 0x66:
        this.#literal('false');
        return { kind: 'bool', value: false };
      case 0x6e:
        this.#literal('null');
        return { kind: 'null' };
      default:
        if (byte === 0x2d || isDigit(byte)) return { kind: 'number', text: this.#number() };
        throw this.#bad('looking for beginning of value');
    }
  }

  key(): string {
    this.#space();
    if (this.#peek() !== 0x22) throw this.#bad('looking for beginning of object key string');
    const key = this.#string();
    this.#space();
    if (this.#peek() !== 0x3a) throw this.#bad('after object key');
    this.#at++;
    return key;
  }

  take(char: string): boolean {
    this.#space();
    if (this.#peek() !== char.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  expect(char: string, where: string): void {
    if (!this.take(char)) throw this.#bad(where);
  }

  end(): void {
    this.#space();
    if (this.#at < this.#bytes.length) throw this.#bad('after top-level value');
  }

  #peek(): number {
    return this.#bytes[this.#at] ?? -1;
  }

  #space(): void {
    for (;;) {
      const byte = this.#peek();
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #literal(word: string): void {
    for (let index = 0; index < word.length; index++) {
      const char = word.charAt(index);
      if (this.#peek() !== char.charCodeAt(0)) {
        if (index === 0) throw this.#bad('looking for beginning of value');
        throw this.#bad(`in literal ${word} (expecting '${char}')`);
      }
      this.#at++;
    }
  }

  #number(): string {
    const start = this.#at;
    if (this.#peek() === 0x2d) {
      this.#at++;
      if (!isDigit(this.#peek())) throw this.#bad('in numeric literal');
    }
    if (this.#peek() === 0x30) this.#at++;
    else this.#digits();
    if (this.#peek() === 0x2e) {
      this.#at++;
      if (!isDigit(this.#peek())) throw this.#bad('after decimal point in numeric literal');
      this.#digits();
    }
    if (this.#peek() === 0x65 || this.#peek() === 0x45) {
      this.#at++;
      if (this.#peek() === 0x2b || this.#peek() === 0x2d) this.#at++;
      if (!isDigit(this.#peek())) throw this.#bad('in exponent of numeric literal');
      this.#digits();
    }
    return this.#bytes.toString('latin1', start, this.#at);
  }

  #digits(): void {
    while (isDigit(this.#peek())) this.#at++;
  }

  #string(): string {
    this.#at++;
    const start = this.#at;
    let plain = true;
    for (;;) {
      const byte = this.#peek();
      if (byte === 0x22) break;
      if (byte === 0x5c) {
        plain = false;
        this.#at++;
        this.#escape();
      } else {
        if (byte < 0x20) throw this.#bad('in string literal');
        this.#at++;
      }
    }
    const raw = this.#bytes.toString('utf8', start, this.#at);
    this.#at++;
    // What was checked above is exactly what JSON.parse accepts; only lone surrogates differ, which Go replaces.
    return plain ? raw : (JSON.parse(`"${raw}"`) as string).toWellFormed();
  }

  #escape(): void {
    const byte = this.#peek();
    if (byte === 0x75) {
      this.#at++;
      for (let digit = 0; digit < 4; digit++) {
        if (!/[0-9a-fA-F]/.test(String.fromCharCode(Math.max(this.#peek(), 0))))
          throw this.#bad('in \\u hexadecimal character escape');
        this.#at++;
      }
      return;
    }
    if (byte < 0 || !'bfnrt\\/"'.includes(String.fromCharCode(byte)))
      throw this.#bad('in string escape code');
    this.#at++;
  }

  /** Go prints the offending byte, not the character that it is part of. */
  #bad(where: string): CredentialError {
    if (this.#at >= this.#bytes.length)
      return new CredentialError('BAD_JSON', 'unexpected end of JSON input');
    const char = String.fromCharCode(this.#peek());
    const quoted = char === "'" ? String.raw`'\''` : char === '"' ? `'"'` : `'${goQuote(char).slice(1, -1)}'`;
    return new CredentialError('BAD_JSON', `invalid character ${quoted} ${where}`);
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
