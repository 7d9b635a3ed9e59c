import type { WriteStream } from 'node:tty';
import type { Command } from 'commander';
import type { PullProgress } from '../pull/progress.ts';
import { formatBytes } from './_output.ts';
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
  /** Bytes a second, and milliseconds left, while bytes travel. */
  readonly rate?: number | undefined;
  readonly etaMs?: number | undefined;
  /** Said in place of how far it is. */
  readonly remark?: string | undefined;
}

type ProgressStream = Pick<WriteStream, 'write' | 'isTTY'> & Partial<Pick<WriteStream, 'columns' | 'rows'>>;

/** A terminal that does not say how large it is. */
const USUAL_COLUMNS = 80;
const USUAL_ROWS = 24;
const BAR_WIDTH = 20;

/** Shows how the parts of an image come along: on a terminal a line for each part under way, with a bar, as docker does. */
export class ProgressPrinter {
  readonly #mode: ProgressMode;
  readonly #stream: ProgressStream;
  readonly #terminal: Terminal;
  /** Lines of parts under way, in the order in which they appeared. */
  readonly #lines = new Map<string, string>();

  constructor(mode: ProgressMode, stream: ProgressStream = process.stderr) {
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
    const line = lineOf(part);
    if (stays) {
      this.#lines.delete(part.digest);
      this.#terminal.line(line);
    } else this.#lines.set(part.digest, line);
    this.#draw();
  }

  /** Shows one step of a pull. `named`: of several, each line says of which image. */
  pull(progress: PullProgress, { named = false }: { named?: boolean } = {}): void {
    const { digest, phase, bytes, total, rate, etaMs, image } = progress;
    const part =
      digest === undefined
        ? undefined
        : {
            digest,
            what: named ? image : progress.kind.padEnd(6),
            phase,
            bytes,
            total,
            remark: waitOf(progress),
            ...(phase === 'downloading' ? { rate, etaMs } : {}),
          };
    this.show(progress, part, phase === 'done');
    // Parts of a pull that failed are under way no longer.
    if (digest !== undefined || (phase !== 'failed' && phase !== 'done')) return;
    if (!named) this.#lines.clear();
    this.#draw();
  }

  /** Says something to people. */
  line(text: string): void {
    if (this.#mode === 'plain') this.#terminal.line(text);
  }

  #draw(): void {
    if (!this.#terminal.interactive) return;
    const { columns = USUAL_COLUMNS, rows = USUAL_ROWS } = this.#stream;
    const room = Math.max(1, rows - 2);
    const lines = [...this.#lines.values()];
    const shown = lines.length > room ? lines.slice(0, room - 1) : lines;
    if (shown.length < lines.length) shown.push(`… and ${lines.length - shown.length} more`);
    this.#terminal.block(shown.map((line) => line.slice(0, columns - 1)));
  }
}

function lineOf({ digest, what, phase, bytes, total, rate, etaMs, remark }: PartShown): string {
  const share = total === 0 ? 100 : Math.floor((bytes / total) * 100);
  const head = `${digest.slice(7, 19)}  ${what}  ${phase}  `;
  if (remark !== undefined) return `${head}${remark}`;
  if (rate === undefined) return `${head}${share} %`;
  const done = Math.round((share / 100) * BAR_WIDTH);
  const bar = `[${'='.repeat(done).padEnd(BAR_WIDTH)}]`;
  const left = etaMs === undefined ? '' : `  ${formatLeft(etaMs)} left`;
  return `${head}${bar} ${share} %  ${formatBytes(bytes)}/${formatBytes(total)}  ${formatBytes(rate)}/s${left}`;
}

function formatLeft(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.ceil(seconds / 60)} min` : `${Math.ceil(seconds / 3600)} h`;
}

/** Says what a part waits for; undefined when it waits for nothing. */
function waitOf({ waiting }: PullProgress): string | undefined {
  if (waiting === undefined) return undefined;
  const { limit, ahead = 0, behind } = waiting;
  const images = [...new Set(behind.map(({ image }) => image))].join(', ');
  if (waiting.for === 'layer') return `the pull of ${images} brings it`;
  const place = ahead === 0 ? 'next' : `${ahead} before it`;
  return `${place}; ${limit} at a time ${waiting.for === 'registry' ? 'of this registry' : 'on this node'}, now of ${images}`;
}
