import type { ImageStore, ImageWithNames } from '../images/image-store.ts';
import { diagnoseReference } from '../oci/reference-diagnosis.ts';
import {
  familiarReference,
  formatReference,
  parseDockerReference,
  ReferenceError,
} from '../oci/reference.ts';
import { UsageError } from './exit.ts';

/** Returns the full name of what people write. @throws UsageError for what is none */
export function fullName(text: string): string {
  try {
    return formatReference(parseDockerReference(text));
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const { says, suggestion } = diagnoseReference(text) ?? {};
    const why = says === undefined ? '' : `: ${says}`;
    const meant = suggestion === undefined ? '' : `; perhaps ${JSON.stringify(suggestion)} is meant`;
    throw new UsageError(`${JSON.stringify(text)} is no image name: ${error.message}${why}${meant}`);
  }
}

/**
 * Returns the full name of what people write to give an image a name. `sha256:…` would be one, and could not be told from an ID.
 *
 * @throws UsageError
 */
export function newName(text: string): string {
  const name = fullName(text);
  if (name.includes('@')) throw new UsageError(`a name by digest cannot be given: ${JSON.stringify(text)}`);
  if (/^sha(?:256|384|512)(?::|$)/.test(text))
    throw new UsageError(`${JSON.stringify(text)} could not be told from an ID: another name is needed`);
  return name;
}

/** Returns a full name as short as people write it. */
export function shortTag(name: string): string {
  return name === '<none>' ? name : familiarReference(parseDockerReference(name));
}

export interface FoundImage {
  readonly image: ImageWithNames;
  /** The name that it was found by; absent when that was its ID. */
  readonly name?: string;
}

/** Finds an image by name, ID or the beginning of an ID. @throws UsageError when there is none */
export async function findImage(images: Pick<ImageStore, 'find'>, text: string): Promise<FoundImage> {
  // An ID is no reference, and the beginning of one may be: as a name it wins.
  const name = /^sha256:[0-9a-f]*$/.test(text) ? undefined : fullName(text);
  const named = name === undefined ? undefined : await images.find(name);
  if (name !== undefined && named !== undefined) return { image: named, name };
  const image = await images.find(text);
  if (image !== undefined) return { image };
  throw new UsageError(`there is no image ${JSON.stringify(name ?? text)} in the store; pull it first`);
}
