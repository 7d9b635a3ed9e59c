import { CredentialError } from '../credential-error.ts';
import { parseGoJson, type JsonNode } from '../go-json.ts';

/*
 * Strict decoding as Kubernetes does it for files of its own kinds: names are case-sensitive, a field that is unknown or given
 * twice is an error. Type errors stop at once; strict ones are collected, to be reported together.
 */

/** The members of one object, checked against the fields its type has. */
export type Members = ReadonlyMap<string, JsonNode>;

/** Decodes one document; {@link StrictDecoder.finish} throws what was collected. */
export class StrictDecoder {
  readonly #problems: string[] = [];

  /** Reads an object; null counts as an empty one. `path` is empty at the top. */
  object(node: JsonNode | undefined, path: string, type: string, fields: readonly string[]): Members {
    const members = new Map<string, JsonNode>();
    if (node === undefined || node.kind === 'null') return members;
    if (node.kind !== 'object') throw typeError(node, path, type);
    for (const [key, value] of node.members) {
      const place = path === '' ? key : `${path}.${key}`;
      if (!fields.includes(key)) this.#problems.push(`unknown field "${place}"`);
      else if (members.has(key)) this.#problems.push(`duplicate field "${place}"`);
      else members.set(key, value);
    }
    return members;
  }

  string(node: JsonNode | undefined, path: string): string {
    if (node === undefined || node.kind === 'null') return '';
    if (node.kind !== 'string') throw typeError(node, path, 'string');
    return node.value;
  }

  boolean(node: JsonNode | undefined, path: string): boolean | undefined {
    if (node === undefined || node.kind === 'null') return undefined;
    if (node.kind !== 'bool') throw typeError(node, path, 'bool');
    return node.value;
  }

  list<T>(
    node: JsonNode | undefined,
    path: string,
    type: string,
    item: (node: JsonNode, path: string) => T,
  ): T[] {
    if (node === undefined || node.kind === 'null') return [];
    if (node.kind !== 'array') throw typeError(node, path, type);
    return node.items.map((entry, index) => item(entry, `${path}[${index}]`));
  }

  strings(node: JsonNode | undefined, path: string): string[] {
    return this.list(node, path, '[]string', (entry, place) => this.string(entry, place));
  }

  /** @throws CredentialError `BAD_JSON` with everything that strictness refuses */
  finish(): void {
    if (this.#problems.length === 0) return;
    throw new CredentialError('BAD_JSON', `strict decoding error: ${this.#problems.join(', ')}`);
  }
}

/** Parses bytes and returns the tree with `apiVersion` and `kind` of its top. */
export function parseTyped(text: string | Uint8Array): { top: JsonNode; apiVersion: string; kind: string } {
  const top = parseGoJson(text);
  const read = (name: string): string => {
    if (top.kind !== 'object') return '';
    const value = top.members.findLast(([key]) => key === name)?.[1];
    return value?.kind === 'string' ? value.value : '';
  };
  return { top, apiVersion: read('apiVersion'), kind: read('kind') };
}

function typeError(node: JsonNode, path: string, type: string): CredentialError {
  const into = path === '' ? 'value' : `struct field ${path}`;
  return new CredentialError(
    'BAD_JSON',
    `json: cannot unmarshal ${node.kind} into Go ${into} of type ${type}`,
  );
}
