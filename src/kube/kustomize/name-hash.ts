import { createHash } from 'node:crypto';

/** Letters that stand for digits and vowels, so that no hash spells a word (kustomize's own substitution). */
const SUBSTITUTE: Readonly<Record<string, string>> = { '0': 'g', '1': 'h', '3': 'k', a: 'm', e: 't' };
const HASH_LENGTH = 10;

/**
 * Returns the suffix that kustomize puts behind the name of a generated ConfigMap or Secret: it follows from the content,
 * so that changed content makes a new object and Pods roll.
 */
export function nameHash(object: {
  kind: string;
  metadata: { name: string };
  type?: string;
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}): string {
  const fields: Record<string, unknown> =
    object.kind === 'Secret'
      ? { data: sorted(object.data), kind: 'Secret', name: object.metadata.name, type: object.type ?? '' }
      : {
          ...(object.binaryData === undefined || Object.keys(object.binaryData).length === 0
            ? {}
            : { binaryData: sorted(object.binaryData) }),
          data: sorted(object.data),
          kind: 'ConfigMap',
          name: object.metadata.name,
        };
  const hex = createHash('sha256').update(goJson(fields)).digest('hex');
  return [...hex.slice(0, HASH_LENGTH)].map((digit) => SUBSTITUTE[digit] ?? digit).join('');
}

function sorted(data: Record<string, string> | undefined): Record<string, string> | '' {
  if (data === undefined || Object.keys(data).length === 0) return '';
  return Object.fromEntries(Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Go's encoder escapes what HTML would read. */
function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
