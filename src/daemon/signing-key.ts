import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeFileAtomic } from '../base/atomic-file.ts';
import { isSystemError } from '../base/coded-error.ts';

/** Returns the private key (PEM, P-256) that signs service-account tokens, making it on first use; 0600. */
export async function openSigningKey(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  await writeFileAtomic(path, pem, { mode: 0o600 });
  return pem;
}
