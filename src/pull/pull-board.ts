import type { ProgressListener, PullProgress } from './progress.ts';

/** Layers of all pulls that are under way and shown; more are pulled, and not shown. */
const MAX_PARTS = 20_000;

/** Where every part of every pull of a node is at this moment: for consoles, other processes, and whoever asks why it takes so long. */
export class PullBoard {
  readonly #pulls = new Map<string, Map<string, PullProgress>>();
  readonly #watchers = new Set<ProgressListener>();
  #parts = 0;

  /** Takes note of one step of the pull called `flight`, until that is over. */
  note(flight: string, progress: PullProgress): void {
    const parts = this.#pulls.get(flight) ?? new Map<string, PullProgress>();
    const key = progress.digest ?? '';
    if (!parts.has(key)) {
      if (this.#parts >= MAX_PARTS) return;
      this.#parts++;
    }
    parts.set(key, progress);
    this.#pulls.set(flight, parts);
    for (const watcher of this.#watchers) watcher(progress);
  }

  /** Forgets a pull that is over. */
  over(flight: string): void {
    this.#parts -= this.#pulls.get(flight)?.size ?? 0;
    this.#pulls.delete(flight);
  }

  /** Returns where everything is. */
  now(): PullProgress[] {
    return [...this.#pulls.values()].flatMap((parts) => [...parts.values()]);
  }

  /** Tells where everything is and then every change, until the returned function is called. */
  watch(listener: ProgressListener): () => void {
    for (const progress of this.now()) listener(progress);
    const own: ProgressListener = (progress) => listener(progress);
    this.#watchers.add(own);
    return () => void this.#watchers.delete(own);
  }
}
