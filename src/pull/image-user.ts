/** Splits the user of an image config as CRI reports it: a number before the colon is a uid, anything else a name (rule 12.18). */
export function splitImageUser(user: string): { uid?: number; username?: string } {
  const name = user.split(':', 1)[0] ?? '';
  if (name === '') return {};
  const uid = /^\d{1,10}$/.test(name) ? Number(name) : Number.NaN;
  return Number.isSafeInteger(uid) ? { uid } : { username: name };
}
