/*
 * A set of paths into an object, in the form in which `managedFields` stores it:
 *
 *   f:<name>   a field or map key      k:{"name":"a"}   an item of a list, by its keys
 *   v:"x"      an item of a set        .                the place itself, beside its children
 */

/** One step of a path in its stored form: `f:spec`, `k:{"name":"a"}`, `v:"x"`. */
export type PathElement = string;

export type Path = readonly PathElement[];

/** A place: whether it is in the set itself, and what is in it below. */
export interface Node {
  member: boolean;
  readonly children: Map<PathElement, Node>;
}

const newNode = (): Node => ({ member: false, children: new Map() });

/** A set of paths. Methods that combine sets change neither; what they return may share their parts. */
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

  /** Adds all that is at and below a path where the set has nothing yet. */
  graft(path: Path, node: Node): void {
    let at = this.#root;
    for (const element of path.slice(0, -1)) {
      let next = at.children.get(element);
      if (next === undefined) at.children.set(element, (next = newNode()));
      at = next;
    }
    at.children.set(path.at(-1) ?? '', node);
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
    return this.#combine(other, { left: true, both: true, right: true });
  }

  difference(other: FieldSet): FieldSet {
    return this.#combine(other, { left: true, both: false, right: false });
  }

  intersection(other: FieldSet): FieldSet {
    return this.#combine(other, { left: false, both: true, right: false });
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

  #combine(other: FieldSet, kept: Kept): FieldSet {
    return new FieldSet(combine(this.#root, other.#root, kept));
  }
}

/** Which paths of two sets are in the set made of them: those of the first only, of both, of the second only. */
interface Kept {
  readonly left: boolean;
  readonly both: boolean;
  readonly right: boolean;
}

function combine(a: Node, b: Node, kept: Kept): Node {
  const member = a.member ? (b.member ? kept.both : kept.left) : b.member && kept.right;
  const result: Node = { member, children: new Map() };
  for (const [element, left] of a.children) {
    const right = b.children.get(element);
    if (right === undefined) {
      if (kept.left) result.children.set(element, left);
      continue;
    }
    const child = combine(left, right, kept);
    if (child.member || child.children.size > 0) result.children.set(element, child);
  }
  if (!kept.right) return result;
  for (const [element, right] of b.children) {
    if (!a.children.has(element)) result.children.set(element, right);
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
  if (node.member) return false;
  for (const child of node.children.values()) if (!isEmptyNode(child)) return false;
  return true;
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
