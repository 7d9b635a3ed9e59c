import {
  LineCounter,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseAllDocuments,
  parseDocument,
  visit,
  type Alias,
  type Document,
  type DocumentOptions,
  type Node,
  type ParseOptions,
  type SchemaOptions,
  type YAMLMap,
} from 'yaml';

import { CodedError } from '../../base/coded-error.ts';
import { goQuote } from '../../base/go-quote.ts';
import { maxBodyDepth } from '../json/parse-json.ts';
import { setOwn } from '../json/own-property.ts';

/** Text that is not YAML, worded as Go's parser words it: `yaml: line 1: did not find expected ',' or ']'`. */
export class YamlError extends CodedError<'BAD_YAML'> {}

/** A YAML document as JSON values, with the repeated keys that were found. */
export interface ParsedYaml {
  readonly value: unknown;
  /** Texts such as `line 8: key "image" already set in map`. */
  readonly duplicates: readonly string[];
}

/** Expanding aliases may not make more values than this: a few lines could otherwise fill the memory. */
const MAX_NODES = 1_000_000;

/** Parses one YAML document by the rules of YAML 1.1, as Kubernetes does: `y` is true, `0777` octal. Throws `YamlError`. */
export function parseYaml(text: string): ParsedYaml {
  const lines = new LineCounter();
  const document = parseDocument(text, { ...OPTIONS, lineCounter: lines });
  return read(document, lines, text);
}

/** Parses a stream of YAML documents; empty ones are left out. Throws `YamlError`. */
export function parseYamlStream(text: string): ParsedYaml[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { ...OPTIONS, lineCounter: lines });
  if (!Array.isArray(documents)) return [];
  return documents.map((document) => read(document, lines, text)).filter(({ value }) => value !== null);
}

const OPTIONS = {
  version: '1.1',
  merge: true,
  uniqueKeys: false,
  prettyErrors: false,
  logLevel: 'silent',
  stringKeys: false,
  // Times and sexagesimal numbers (`8080:80`) stay text: the parser that Kubernetes uses leaves them so.
  customTags: (tags: unknown[]) =>
    tags.filter((tag) => {
      if (typeof tag !== 'object' || tag === null || !('tag' in tag)) return !EXOTIC_NAMES.has(String(tag));
      if ('format' in tag && tag.format === 'TIME') return false;
      return !EXOTIC_TAGS.has(String(tag.tag));
    }),
} as unknown as ParseOptions & DocumentOptions & SchemaOptions;

const EXOTIC_NAMES = new Set(['timestamp', 'binary', 'omap', 'pairs', 'set']);
const EXOTIC_TAGS = new Set([
  'tag:yaml.org,2002:timestamp',
  'tag:yaml.org,2002:binary',
  'tag:yaml.org,2002:omap',
  'tag:yaml.org,2002:pairs',
  'tag:yaml.org,2002:set',
]);

function read(document: Document, lines: LineCounter, text: string): ParsedYaml {
  const error = document.errors[0];
  if (error !== undefined) {
    const line = lines.linePos(error.pos[0]).line;
    throw new YamlError('BAD_YAML', `yaml: line ${line}: ${wordsFor(error.code, error.message, text)}`, {
      cause: error,
    });
  }
  const duplicates: string[] = [];
  const reader = new Reader(document, lines, duplicates);
  return { value: reader.read(document.contents, 0), duplicates };
}

/**
 * Finds what each alias stands for, in one walk: the last node before it with its anchor. The library walks over the whole document for each,
 * and a hostile one of a kilobyte would keep the server busy for seconds.
 */
function targetsOf(document: Document): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Node: (_key, node) => {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

class Reader {
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #duplicates: string[];
  #targets: ReadonlyMap<Alias, Node> | undefined;
  #nodes = 0;

  constructor(document: Document, lines: LineCounter, duplicates: string[]) {
    this.#document = document;
    this.#lines = lines;
    this.#duplicates = duplicates;
  }

  read(node: unknown, depth: number): unknown {
    this.#nodes += 1;
    if (depth > maxBodyDepth) throw new YamlError('BAD_YAML', 'yaml: exceeded max depth');
    if (this.#nodes > MAX_NODES)
      throw new YamlError('BAD_YAML', 'yaml: document contains excessive aliasing');
    if (isAlias(node)) return this.read(this.#target(node), depth + 1);
    if (isSeq(node)) return node.items.map((item) => this.read(item, depth + 1));
    if (isMap(node)) return this.#map(node, depth);
    if (isScalar(node)) return scalarValue(node.value);
    return null;
  }

  #target(alias: Alias): Node | undefined {
    this.#targets ??= targetsOf(this.#document);
    return this.#targets.get(alias);
  }

  #map(node: YAMLMap, depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    const own = new Set<string>();
    for (const pair of node.items) {
      const keyNode = pair.key;
      if (isMergeKey(keyNode)) {
        this.#merge(result, own, pair.value, depth);
        continue;
      }
      const key = this.#key(keyNode);
      if (own.has(key)) {
        const offset = (keyNode as Node | null)?.range?.[0] ?? 0;
        this.#duplicates.push(
          `line ${this.#lines.linePos(offset).line}: key ${goQuote(key)} already set in map`,
        );
      }
      own.add(key);
      setOwn(result, key, this.read(pair.value, depth + 1));
    }
    return result;
  }

  #key(node: unknown): string {
    if (isScalar(node)) {
      const value = scalarValue(node.value);
      return typeof value === 'string' ? value : JSON.stringify(value);
    }
    if (isAlias(node)) return this.#key(this.#target(node));
    throw new YamlError('BAD_YAML', 'yaml: invalid map key: not a scalar');
  }

  /** Keys of the map itself win over merged ones, earlier merges over later ones. */
  #merge(result: Record<string, unknown>, own: ReadonlySet<string>, source: unknown, depth: number): void {
    const value = this.read(source, depth + 1);
    for (const part of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (typeof part !== 'object' || part === null) {
        throw new YamlError('BAD_YAML', 'yaml: map merge requires map or sequence of maps as the value');
      }
      for (const [key, entry] of Object.entries(part)) {
        if (!own.has(key) && !Object.hasOwn(result, key)) setOwn(result, key, entry);
      }
    }
  }
}

function isMergeKey(node: unknown): boolean {
  return isScalar(node) && node.type === 'PLAIN' && node.source === '<<';
}

function scalarValue(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return null;
}

/** Words the usual slips as Go's parser does; others keep our parser's words. */
function wordsFor(code: string, message: string, text: string): string {
  if (code === 'BAD_INDENT' || code === 'UNEXPECTED_TOKEN') {
    if (/[[{,]\s*$/.test(text)) return 'did not find expected node content';
    if (/flow (sequence|collection)|Flow sequence/i.test(message)) return "did not find expected ',' or ']'";
    if (/flow map/i.test(message)) return "did not find expected ',' or '}'";
  }
  if (code === 'TAB_AS_INDENT') return 'found character that cannot start any token';
  if (code === 'BLOCK_AS_IMPLICIT_KEY' || code === 'MULTILINE_IMPLICIT_KEY') {
    return 'mapping values are not allowed in this context';
  }
  return message;
}
