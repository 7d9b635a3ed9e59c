import type { WriteStream } from 'node:tty';
import type { Command } from 'commander';
import { UsageError } from './exit.ts';
import { Terminal } from './terminal.ts';

/** Where progress goes: lines for people, JSON lines for programs, or nowhere. All of it to standard error. */
export type ProgressMode = 'plain' | 'json' | 'none';

const MODES: readonly ProgressMode[] = ['plain', 'json', 'none'];

export interface ProgressOptions {
  readonly progress?: string;
  readonly quiet?: boolean;
}

/** Adds `--progress` and `--quiet`. */
export function withProgress(command: Command): Command {
  return command
    .option('--progress <form>', `${MODES.join(', ')}: json is one JSON object a line, on standard error`)
    .option('-q, --quiet', 'print nothing but the result');
}

/** @throws UsageError */
export function progressMode({ progress, quiet }: ProgressOptions): ProgressMode {
  if (progress === undefined) return quiet === true ? 'none' : 'plain';
  const mode = MODES.find((each) => each === progress);
  if (mode === undefined)
    throw new UsageError(`unknown progress ${JSON.stringify(progress)}: there are ${MODES.join(', ')}`);
  return mode;
}

/** One part of an image on its way. */
export interface PartShown {
  readonly digest: string;
  readonly what: string;
  readonly phase: string;
  readonly bytes: number;
  readonly total: number;
}

/** Shows how the parts of an image come along. */
export class ProgressPrinter {
  readonly #mode: ProgressMode;
  readonly #stream: Pick<WriteStream, 'write'>;
  readonly #terminal: Terminal;

  constructor(mode: ProgressMode, stream: Pick<WriteStream, 'write' | 'isTTY'> = process.stderr) {
    this.#mode = mode;
    this.#stream = stream;
    this.#terminal = new Terminal(stream);
  }

  /**
   * Shows one step.
   *
   * @param event what programs get
   * @param part what people get; nothing for a step that is about no part
   * @param stays whether the line stays: the part is done
   */
  show(event: object, part: PartShown | undefined, stays: boolean): void {
    if (this.#mode === 'json') this.#stream.write(`${JSON.stringify(event)}\n`);
    if (this.#mode !== 'plain' || part === undefined) return;
    const share = part.total === 0 ? 100 : Math.floor((part.bytes / part.total) * 100);
    const line = `${part.digest.slice(7, 19)}  ${part.what}  ${part.phase}  ${share} %`;
    if (stays) this.#terminal.line(line);
    else this.#terminal.progress(line);
  }

  /** Says something to people. */
  line(text: string): void {
    if (this.#mode === 'plain') this.#terminal.line(text);
  }
}
