import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../base/coded-error.ts';
import { findProgram } from './find-program.ts';
import type { Command } from './launcher.ts';
import { RuntimeError } from './runtime-error.ts';
import { shellQuote } from './shell-quote.ts';

/**
 * Runs a command in a terminal of its own. Node cannot make one: `script` of util-linux does, with the command's input and output
 * passed through. The terminal's path is written to `nameFile`, so that `resizeTerminal` finds it.
 *
 * A command that makes a terminal itself has ours made transparent from the start: by its own hand it comes too late for what is shown or
 * typed first, and leaves translation of lines on (`line-ends.ts`).
 *
 * @throws RuntimeError `UNAVAILABLE` when the program is missing
 */
export async function inTerminal(command: Command, nameFile: string): Promise<Command> {
  const script = await findProgram('script');
  if (script === undefined) {
    throw new RuntimeError('UNAVAILABLE', 'Cannot give a terminal: program "script" is not installed');
  }
  const line = [command.file, ...command.args].map(shellQuote).join(' ');
  const prepare = command.bringsTerminal === true ? 'stty raw -echo -onlcr; ' : '';
  return {
    ...command,
    file: script,
    args: [
      '--quiet',
      '--return',
      '--flush',
      // A terminal shows what is typed; without a terminal of its own, script would turn that off.
      '--echo',
      'always',
      '--command',
      `tty >${shellQuote(nameFile)}; ${prepare}exec ${line}`,
      '/dev/null',
    ],
  };
}

/** Changes the size of a terminal that `inTerminal` made. One that is not there any more, or not yet, stays as it is. */
export function resizeTerminal(nameFile: string, columns: number, rows: number): void {
  const name = terminalName(nameFile);
  if (name === undefined) return;
  const size = ['rows', String(Math.trunc(rows)), 'cols', String(Math.trunc(columns))];
  // It may close at any time, and a size is nothing to fail for.
  execFile('stty', ['-F', name, ...size], () => undefined);
}

/** Names the file in which a container's own terminal is written down. */
export function consoleFile(directory: string): string {
  return join(directory, 'console');
}

function terminalName(nameFile: string): string | undefined {
  try {
    const name = readFileSync(nameFile, 'utf8').trim();
    return /^\/dev\/pts\/\d+$/.test(name) ? name : undefined;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw error;
  }
}
