import type { Readable, Writable } from 'node:stream';

/** Someone's connection to a process in a container: to a command of its own, or to the container's first process. */
export interface ContainerSession {
  /** Absent when no input was asked for, or the container takes none. Ending it ends the process's input. */
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  /** Absent with a terminal, which has one output. */
  readonly stderr: Readable | undefined;
  /** Changes the size of the terminal; does nothing without one. */
  resize(columns: number, rows: number): void;
  /** Exit code of a command; 0 once the container has ended to whose first process this is. Rejects when it cannot be known. */
  readonly exit: Promise<number>;
  /** Lets go: a command is killed, a container goes on. */
  close(): void;
}

/** A runtime whose containers can be looked into while they run. */
export interface SessionRuntime {
  /** @throws RuntimeError `NOT_FOUND`, `NOT_RUNNING`, `EXEC_FAILED` */
  exec(
    id: string,
    options: { readonly command: readonly string[]; readonly tty: boolean; readonly stdin: boolean },
    signal: AbortSignal,
  ): Promise<ContainerSession>;
  /**
   * Connects to a container's first process. Output begins where it is now.
   *
   * @throws RuntimeError `NOT_FOUND`, `NOT_RUNNING`
   */
  attach(
    id: string,
    options: { readonly tty: boolean; readonly stdin: boolean },
    signal: AbortSignal,
  ): Promise<ContainerSession>;
}

/** Tells whether a runtime offers sessions. */
export function hasSessions<T extends object>(runtime: T): runtime is T & SessionRuntime {
  return 'exec' in runtime && 'attach' in runtime;
}
