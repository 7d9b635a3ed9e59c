import { describeMismatch, mismatch, parsePattern } from '../registry-pattern.ts';
import type { ProviderConfig } from './provider-config.ts';

/**
 * Finds the pattern by which a provider is run for an image (rule 9.7); undefined: it is not.
 *
 * @param says hears how each pattern compared, up to the first that matches
 */
export function matchImages(
  config: ProviderConfig,
  image: string,
  says: (rule: string, text: string) => void,
): string | undefined {
  const target = parsePattern(image);
  for (const written of config.matchImages) {
    const pattern = parsePattern(written);
    const why = target === undefined || pattern === undefined ? 'no URL' : mismatch(pattern, target);
    if (why === undefined) {
      says('9.7', `matchImages "${written}" matches`);
      return written;
    }
    says('9.7', `matchImages "${written}" does not match: ${why === 'no URL' ? why : describeMismatch(why)}`);
  }
  return undefined;
}
