/** Waits for all; when one fails, stops the others, waits until they have ended, and throws the first failure. */
export async function allOrStop<T>(stop: AbortController, work: readonly Promise<T>[]): Promise<T[]> {
  const failures: unknown[] = [];
  const settled = await Promise.allSettled(
    work.map(async (each) => {
      try {
        return await each;
      } catch (error) {
        failures.push(error);
        stop.abort();
        throw error;
      }
    }),
  );
  if (failures.length > 0) throw failures[0];
  return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
}
