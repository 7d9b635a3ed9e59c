/** Ends with the process's own signals, so that a command can be interrupted and cleans up. */
export function interruptible(): AbortSignal {
  const ending = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => ending.abort(new Error(`interrupted by ${name}`)));
  return ending.signal;
}
