/*
 * A set of paths into an object, in the form in which `managedFields` stores it:
 *
 *   f:<name>   a field or map key      k:{"name":"a"}   an item of a list, by its keys
 *   v:"x"      an item of a set        .                the place itself, beside its children
 */

/** One step of a path in its stored form: `f:spec`, `k:{"name":"a"}`, `v:"x"`. */
export type PathElement = string;

export type Path = readonly PathElement[];

interface Node {
  member: boolean;
  readonly children: Map<PathElement, Node>;
}

const newNode = (): Node => ({ member: false, children: new Map() });

/** A set of paths. Methods that combine sets make new ones. */
export class FieldSet {
  readonly #root: Node;

  constructor(root: Node = newNode()) {
    this.#root = root;
  }

  /** Reads the stored form; what is not understood is left out. */
  static fromFields(fields: unknown): FieldSet {
    return new FieldSet(readNode(fields));
  }

  /** Returns the stored form, keys in order. */
  toFields(): Record<string, unknown> {
    return writeNode(this.#root);
  }

  get isEmpty(): boolean {
    return isEmptyNode(this.#root);
  }

  add(path: Path): void {
    let node = this.#root;
    for (const element of path) {
      let next = node.children.get(element);
      if (next === undefined) {
        next = newNode();
        node.children.set(element, next);
      }
      node = next;
    }
    node.member = true;
  }

  has(path: Path): boolean {
    return this.#find(path)?.member === true;
  }

  /** Tells whether the path or anything below it is in the set. */
  hasWithin(path: Path): boolean {
    const node = this.#find(path);
    return node !== undefined && !isEmptyNode(node);
  }

  /** Lists all paths, in order. */
  paths(): Path[] {
    const paths: Path[] = [];
    collect(this.#root, [], paths);
    return paths;
  }

  union(other: FieldSet): FieldSet {
    return this.#combine(other, (a, b) => a || b);
  }

  difference(other: FieldSet): FieldSet {
    return this.#combine(other, (a, b) => a && !b);
  }

  intersection(other: FieldSet): FieldSet {
    return this.#combine(other, (a, b) => a && b);
  }

  /** Leaves out these paths and everything below them. */
  without(paths: readonly Path[]): FieldSet {
    return new FieldSet(paths.reduce((node, path) => cut(node, path, 0), this.#root));
  }

  equals(other: FieldSet): boolean {
    return JSON.stringify(this.toFields()) === JSON.stringify(other.toFields());
  }

  #find(path: Path): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const element of path) node = node?.children.get(element);
    return node;
  }

  #combine(other: FieldSet, keep: (a: boolean, b: boolean) => boolean): FieldSet {
    return new FieldSet(combine(this.#root, other.#root, keep));
  }
}

function combine(a: Node | undefined, b: Node | undefined, keep: (a: boolean, b: boolean) => boolean): Node {
  const result = newNode();
  result.member = keep(a?.member ?? false, b?.member ?? false);
  for (const element of new Set([...(a?.children.keys() ?? []), ...(b?.children.keys() ?? [])])) {
    const child = combine(a?.children.get(element), b?.children.get(element), keep);
    if (!isEmptyNode(child)) result.children.set(element, child);
  }
  return result;
}

/** Copies only the nodes on the way to what goes. */
function cut(node: Node, path: Path, at: number): Node {
  const element = path[at];
  const child = element === undefined ? undefined : node.children.get(element);
  if (element === undefined || child === undefined) return node;
  const children = new Map(node.children);
  const left = at === path.length - 1 ? newNode() : cut(child, path, at + 1);
  if (isEmptyNode(left)) children.delete(element);
  else children.set(element, left);
  return { member: node.member, children };
}

function isEmptyNode(node: Node): boolean {
  return !node.member && [...node.children.values()].every(isEmptyNode);
}

function collect(node: Node, path: Path, into: Path[]): void {
  if (node.member) into.push(path);
  for (const element of [...node.children.keys()].toSorted()) {
    const child = node.children.get(element);
    if (child !== undefined) collect(child, [...path, element], into);
  }
}

/** Deeper sets are not read: no kind has fields that deep. */
const MAX_DEPTH = 100;

function readNode(fields: unknown, depth = 0): Node {
  const node = newNode();
  if (typeof fields !== 'object' || fields === null || depth > MAX_DEPTH) return node;
  const entries = Object.entries(fields);
  // A place without children is there for itself.
  if (entries.length === 0 && depth > 0) node.member = true;
  for (const [element, child] of entries) {
    if (element === '.') node.member = true;
    else if (/^[fkvi]:/.test(element)) node.children.set(element, readNode(child, depth + 1));
  }
  return node;
}

function writeNode(node: Node): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  if (node.member && node.children.size > 0) fields['.'] = {};
  for (const element of [...node.children.keys()].toSorted()) {
    const child = node.children.get(element);
    if (child !== undefined && !isEmptyNode(child)) fields[element] = writeNode(child);
  }
  return fields;
}

/** Prints a path as conflicts name it: `.spec.containers[name="a"].image`. */
export function formatFieldPath(path: Path): string {
  return path
    .map((element) => {
      const rest = element.slice(2);
      if (element.startsWith('f:')) return `.${rest}`;
      if (element.startsWith('v:')) return `[=${rest}]`;
      return formatKey(rest);
    })
    .join('');
}

function formatKey(json: string): string {
  const keys = JSON.parse(json) as Record<string, unknown>;
  return `[${Object.entries(keys)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',')}]`;
}
