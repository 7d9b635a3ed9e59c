import { goQuote } from '../base/go-quote.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseDockerReference, ReferenceError, repositoryOf, type Reference } from '../oci/reference.ts';
import { PullError } from './pull-error.ts';

/** Reads the name of an image to pull. @throws PullError `INVALID_REFERENCE` */
export function parseForPull(text: string): Reference {
  try {
    return parseDockerReference(text);
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    throw new PullError(
      'INVALID_REFERENCE',
      `failed to parse image reference ${goQuote(text)}: ${error.message}`,
      { cause: error },
    );
  }
}

/** The names an image has after a pull: its tag, if it was pulled by one, and the repository with the digest (rule 12.13). */
export function namesOf(
  reference: Reference,
  name: string,
  target: Descriptor,
): { name: string; target: Descriptor }[] {
  const byDigest = { name: `${repositoryOf(reference)}@${target.digest}`, target };
  return reference.digest === undefined ? [{ name, target }, byDigest] : [byDigest];
}
