import type { Logger } from '../observe/logger.ts';
import { chooseLauncher, type LauncherChoice, type LauncherName } from './choose-launcher.ts';
import type { Launcher } from './launcher.ts';

/** Finds the best way of running containers once, and older containers' own ways when they need them. */
export class Launchers {
  readonly #root: string;
  readonly #only: LauncherName | undefined;
  readonly #logger: Logger;
  readonly #closing: AbortSignal;
  #choice: Promise<LauncherChoice> | undefined;

  /** @param closing ends a search under way */
  constructor(
    options: { readonly root: string; readonly launcher?: LauncherName },
    logger: Logger,
    closing: AbortSignal,
  ) {
    this.#root = options.root;
    this.#only = options.launcher;
    this.#logger = logger;
    this.#closing = closing;
  }

  /** Returns the best that works, or the only one that may be used. */
  best(signal: AbortSignal): Promise<LauncherChoice> {
    signal.throwIfAborted();
    this.#choice ??= this.#search();
    return this.#choice;
  }

  /** Returns one way of running containers, which may not be the best any more. */
  async named(name: LauncherName, signal: AbortSignal): Promise<Launcher> {
    const { launcher } = await this.best(signal);
    if (launcher.name === name) return launcher;
    // Left by an agent under other conditions; what started a container must also end it.
    return (await chooseLauncher({ root: this.#root, only: name }, signal)).launcher;
  }

  async #search(): Promise<LauncherChoice> {
    try {
      const only = this.#only === undefined ? {} : { only: this.#only };
      const choice = await chooseLauncher({ root: this.#root, ...only }, this.#closing);
      this.#logger.info(
        { launcher: choice.launcher.name, version: choice.launcher.version, refused: choice.refused },
        'runs containers',
      );
      return choice;
    } catch (error) {
      this.#choice = undefined;
      throw error;
    }
  }
}
