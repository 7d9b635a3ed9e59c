export type TokenKind =
  | '!'
  | '='
  | '=='
  | '!='
  | '>'
  | '<'
  | '('
  | ')'
  | ','
  | 'in'
  | 'notin'
  | 'identifier'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
}

const SYMBOLS: ReadonlyMap<string, TokenKind> = new Map(
  (['!', '=', '==', '!=', '>', '<', '(', ')', ','] as const).map((kind) => [kind, kind]),
);

const isSymbol = (char: string | undefined): boolean => char !== undefined && '=!(),><'.includes(char);
const isSpace = (char: string | undefined): boolean => char !== undefined && ' \t\r\n'.includes(char);

/** Cuts a label selector into tokens. `in` and `notin` are operators only where one is expected. */
export class LabelLexer {
  readonly #text: string;
  #at = 0;
  #next: Token | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** Looks at the next token as a value. */
  peek(): Token {
    this.#next ??= this.#scan();
    return asValue(this.#next);
  }

  /** Takes the next token: as a value, or where an operator may stand. */
  take(as: 'value' | 'operator' = 'value'): Token {
    const token = this.#next ?? this.#scan();
    this.#next = undefined;
    return as === 'operator' ? token : asValue(token);
  }

  #scan(): Token {
    while (isSpace(this.#text[this.#at])) this.#at += 1;
    const first = this.#text[this.#at];
    if (first === undefined) return { kind: 'end', text: '' };
    return isSymbol(first) ? this.#symbol() : this.#word();
  }

  /** Takes the longest run of symbol characters that ends in a known symbol. */
  #symbol(): Token {
    let text = this.#text[this.#at] ?? '';
    this.#at += 1;
    while (isSymbol(this.#text[this.#at]) && SYMBOLS.has(text + (this.#text[this.#at] ?? ''))) {
      text += this.#text[this.#at] ?? '';
      this.#at += 1;
    }
    return { kind: SYMBOLS.get(text) ?? 'identifier', text };
  }

  #word(): Token {
    const start = this.#at;
    while (
      this.#at < this.#text.length &&
      !isSymbol(this.#text[this.#at]) &&
      !isSpace(this.#text[this.#at])
    ) {
      this.#at += 1;
    }
    const text = this.#text.slice(start, this.#at);
    return { kind: text === 'in' || text === 'notin' ? text : 'identifier', text };
  }
}

function asValue(token: Token): Token {
  return token.kind === 'in' || token.kind === 'notin' ? { kind: 'identifier', text: token.text } : token;
}
