import type { TraceStep } from '../../base/trace.ts';
import type { Candidate } from '../../credentials/keyring.ts';
import { parseImageName } from '../../oci/reference.ts';
import type { EnsureImageRequest } from '../ensure-image.ts';
import type { CandidateLookup } from './pull-candidate.ts';

/**
 * Makes the look-up of one request's credentials: not before it is needed, and once (rule 3.8).
 *
 * @param tagged the image with its tag
 */
export function lookUpOnce(
  { candidates: lookup, signal }: { readonly candidates: CandidateLookup; readonly signal: AbortSignal },
  request: EnsureImageRequest,
  tagged: string,
  trace: TraceStep[],
): () => Promise<readonly Candidate[]> {
  let found: Promise<readonly Candidate[]> | undefined;
  return () => {
    found ??= (async () => {
      const { name } = parseImageName(tagged);
      const candidates = await lookup.candidates(request.pod, name, signal);
      trace.push({
        rule: '3.8',
        says:
          candidates.length === 0
            ? 'no credential matches: pull anonymously'
            : `${candidates.length} credentials match, tried in order`,
      });
      return candidates;
    })();
    return found;
  };
}
