import type { WriteStream } from 'node:tty';

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

const CODES: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Writes for people: styles only where a terminal shows them and `NO_COLOR` does not forbid it. */
export class Terminal {
  readonly #stream: Pick<WriteStream, 'write'>;
  readonly interactive: boolean;
  readonly #styled: boolean;
  /** Lines that the next one replaces. */
  #transient = 0;

  constructor(stream: Pick<WriteStream, 'write' | 'isTTY'>, environment: NodeJS.ProcessEnv = process.env) {
    this.#stream = stream;
    this.interactive = stream.isTTY && environment['TERM'] !== 'dumb';
    const noColor = environment['NO_COLOR'];
    this.#styled = this.interactive && (noColor === undefined || noColor === '');
  }

  /** Returns text in a style, or as it is where styles are not shown. */
  style(style: Style, text: string): string {
    if (!this.#styled) return text;
    const [on, off] = CODES[style];
    return `\u001b[${on}m${text}\u001b[${off}m`;
  }

  /** Writes one line that stays. */
  line(text = ''): void {
    this.#clear();
    this.#stream.write(`${text}\n`);
  }

  /** Shows a line that the next one replaces; nothing where there is no terminal. */
  progress(text: string): void {
    this.block([this.style('dim', text)]);
  }

  /** Shows lines that the next ones replace; nothing where there is no terminal. Each must fit the width. */
  block(lines: readonly string[]): void {
    if (!this.interactive) return;
    this.#clear();
    this.#stream.write(lines.join('\n'));
    this.#transient = lines.length;
  }

  #clear(): void {
    if (this.#transient === 0) return;
    this.#stream.write(`\r\u001b[2K${'\u001b[1A\u001b[2K'.repeat(this.#transient - 1)}`);
    this.#transient = 0;
  }
}
