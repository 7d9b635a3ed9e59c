/**
 * Returns who a JSON Web Token says has issued it, which only its signature can prove; `unreadable` for what is no token.
 * Asked of every password that comes, so it does without the library that verifies.
 */
export function claimedIssuer(token: string): { issuer: string | undefined } | 'unreadable' {
  const [, payload, ...rest] = token.split('.');
  if (payload === undefined || payload === '' || rest.length !== 1) return 'unreadable';
  let claims: unknown;
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return 'unreadable';
    throw error;
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return 'unreadable';
  const issuer: unknown = Object.hasOwn(claims, 'iss') ? (claims as { iss: unknown }).iss : undefined;
  return { issuer: typeof issuer === 'string' ? issuer : undefined };
}
