import { createHash } from 'node:crypto';

/** Letters that stand for digits and vowels, so that no hash spells a word (kustomize's own substitution). */
const SUBSTITUTE: Readonly<Record<string, string>> = { '0': 'g', '1': 'h', '3': 'k', a: 'm', e: 't' };
const HASH_LENGTH = 10;

/** Generated base64 is folded at this column, and the folded text is what is hashed. */
const BASE64_COLUMNS = 70;

/**
 * Returns the suffix that kustomize puts behind the name of a generated ConfigMap or Secret: it follows from the content alone,
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
      ? { data: sorted(object.data, foldBase64), kind: 'Secret', name: '', type: object.type ?? '' }
      : {
          ...(object.binaryData === undefined || Object.keys(object.binaryData).length === 0
            ? {}
            : { binaryData: sorted(object.binaryData, foldBase64) }),
          data: sorted(object.data),
          kind: 'ConfigMap',
          name: '',
        };
  const hex = createHash('sha256').update(goJson(fields)).digest('hex');
  return hex.slice(0, HASH_LENGTH).replaceAll(/[013ae]/g, (digit) => SUBSTITUTE[digit] ?? digit);
}

function sorted(
  data: Record<string, string> | undefined,
  form: (value: string) => string = (value) => value,
): Record<string, string> | '' {
  if (data === undefined || Object.keys(data).length === 0) return '';
  const entries = Object.entries(data).map(([key, value]): [string, string] => [key, form(value)]);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function foldBase64(value: string): string {
  if (value.length <= BASE64_COLUMNS) return value;
  return value.replaceAll(new RegExp(`.{1,${BASE64_COLUMNS}}`, 'g'), '$&\n');
}

/** Go's encoder escapes what HTML would read. */
function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
