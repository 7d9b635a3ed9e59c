/** `nobody` on every Linux. */
const ORDINARY_USER = 65_534;

/**
 * Runs with the rights of an ordinary user, also when the tests run as root: what is refused to users is refused in `run`.
 * The whole process changes its user meanwhile, so nothing else may go on in it.
 */
export async function asOrdinaryUser<T>(run: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return run();
  process.seteuid?.(ORDINARY_USER);
  try {
    return await run();
  } finally {
    process.seteuid?.(0);
  }
}
