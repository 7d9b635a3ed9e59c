import { isIdentifier } from './_reference-grammar.ts';
import { isDigest } from './digest.ts';
import { formatReference, parseNormalizedReference, ReferenceError } from './reference.ts';

/** What a text tells about an image, the most first (rule 1.14). */
const RANK = { tagAndDigest: 0, tag: 1, digest: 2, name: 3, bareDigest: 4, unreadable: 5 } as const;

interface Ranked {
  readonly rank: number;
  readonly text: string;
}

/**
 * Sorts names of images so that the one that tells most comes first (rule 1.14). Names come out normalised, 64 hexadecimal
 * digits as a digest; what cannot be read stays as it is, at the end.
 */
export function sortReferences(references: readonly string[]): readonly string[] {
  return references
    .map(rank)
    .sort((a, b) => a.rank - b.rank || Buffer.compare(Buffer.from(a.text), Buffer.from(b.text)))
    .map(({ text }) => text);
}

function rank(text: string): Ranked {
  if (isIdentifier(text)) return { rank: RANK.bareDigest, text: `sha256:${text}` };
  if (isDigest(text)) return { rank: RANK.bareDigest, text };
  try {
    const reference = parseNormalizedReference(text);
    const { tag, digest } = reference;
    const tagged = digest === undefined ? RANK.tag : RANK.tagAndDigest;
    const untagged = digest === undefined ? RANK.name : RANK.digest;
    return { rank: tag === undefined ? untagged : tagged, text: formatReference(reference) };
  } catch (error) {
    if (error instanceof ReferenceError) return { rank: RANK.unreadable, text };
    throw error;
  }
}
