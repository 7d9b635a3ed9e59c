/** The bytes of a representation that a request asks for. */
export type RangeAnswer =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly offset: number; readonly length: number }
  | { readonly kind: 'unsatisfiable' };

const WHOLE: RangeAnswer = { kind: 'whole' };

/**
 * Reads a `Range` header against a representation of `size` bytes. Several ranges, other units and what does not parse
 * are ignored: the whole is always a right answer.
 *
 * @see RFC 9110 section 14.2
 */
export function readRange(header: string | undefined, size: number): RangeAnswer {
  // Some clients ask for `bytes=0-` of everything, as containerd does; of nothing that is all there is.
  if (size === 0) return WHOLE;
  const match = header === undefined ? null : /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header);
  if (match === null) return WHOLE;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return WHOLE;
  if (first === '') {
    const suffix = Number(last);
    if (suffix === 0) return { kind: 'unsatisfiable' };
    const length = Math.min(suffix, size);
    return { kind: 'part', offset: size - length, length };
  }
  const offset = Number(first);
  if (last !== '' && Number(last) < offset) return WHOLE;
  if (offset >= size) return { kind: 'unsatisfiable' };
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  return { kind: 'part', offset, length: end - offset + 1 };
}

/**
 * Reads the `Content-Range` of an upload chunk, which the specification writes `<first>-<last>`, both inclusive; some
 * clients put `bytes ` or `bytes=` in front, or `/total` behind. Returns undefined for what is neither.
 *
 * @see OCI distribution-spec v1.1.1, "Pushing a blob in chunks"
 */
export function readContentRange(header: string): { first: number; last: number } | undefined {
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/.exec(header.trim());
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2]);
  return last >= first ? { first, last } : undefined;
}
