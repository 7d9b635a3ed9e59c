import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { ContainerSession } from './container-session.ts';
import { startExec } from './exec-process.ts';
import type { Command } from './launcher.ts';
import { withLineEnds } from './line-ends.ts';
import { inTerminal, resizeTerminal } from './terminal.ts';

/** Runs a command inside a container for somebody who watches it. It is killed when the signal aborts. */
export async function execSession(
  command: Command,
  options: { readonly directory: string; readonly tty: boolean; readonly stdin: boolean },
  signal: AbortSignal,
): Promise<ContainerSession> {
  const nameFile = join(options.directory, `exec-${randomUUID()}.tty`);
  const run = options.tty ? await inTerminal(command, nameFile) : command;
  const closing = new AbortController();
  // A terminal needs an input that stays open, or what runs in it is told that it has ended.
  const stdin = options.stdin || options.tty ? 'pipe' : 'ignore';
  const running = startExec(run, stdin, AbortSignal.any([signal, closing.signal]));
  const { child } = running;
  const exit = endOf(running.exit, nameFile);
  // Whoever never asks how it ended is not to bring the program down.
  exit.catch(() => undefined);
  return {
    stdin: options.stdin ? (child.stdin ?? undefined) : undefined,
    stdout: command.bringsTerminal === true ? withLineEnds(child.stdout) : child.stdout,
    stderr: options.tty ? undefined : child.stderr,
    resize: (columns, rows) => {
      if (options.tty) resizeTerminal(nameFile, columns, rows);
    },
    exit,
    close: () => closing.abort(new Error('the session was closed')),
  };
}

async function endOf(exit: Promise<number>, nameFile: string): Promise<number> {
  try {
    return await exit;
  } finally {
    await rm(nameFile, { force: true });
  }
}
