/** A JSON object from outside. Its fields are reached by {@link field} only, so that `__proto__` is a field like any other. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Makes the error of the document being read. */
export type Complain = (where: string, expected: string) => Error;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns a field; null counts as absent, as it does in Go's decoder. */
export function field(object: JsonObject, name: string): unknown {
  if (!Object.hasOwn(object, name)) return undefined;
  return object[name] ?? undefined;
}

export function has(object: JsonObject, name: string): boolean {
  return Object.hasOwn(object, name);
}

/** Reads typed fields of one object and names the place in the error. */
export class JsonReader {
  readonly #object: JsonObject;
  readonly #where: string;
  readonly #complain: Complain;

  constructor(value: unknown, where: string, complain: Complain) {
    if (!isJsonObject(value)) throw complain(where === '' ? 'document' : where, 'an object');
    this.#object = value;
    this.#where = where;
    this.#complain = complain;
  }

  error(name: string, expected: string): Error {
    return this.#complain(this.#path(name), expected);
  }

  #path(name: string): string {
    return this.#where === '' ? name : `${this.#where}.${name}`;
  }

  optionalString(name: string): string | undefined {
    const value = field(this.#object, name);
    if (value === undefined || typeof value === 'string') return value;
    throw this.error(name, 'a string');
  }

  string(name: string): string {
    const value = this.optionalString(name);
    if (value === undefined || value === '') throw this.error(name, 'a non-empty string');
    return value;
  }

  optionalInteger(name: string): number | undefined {
    const value = field(this.#object, name);
    if (value === undefined || (typeof value === 'number' && Number.isSafeInteger(value))) return value;
    throw this.error(name, 'an integer');
  }

  size(name: string): number {
    const value = this.optionalInteger(name);
    if (value === undefined || value < 0) throw this.error(name, 'an integer of 0 or more');
    return value;
  }

  strings(name: string): readonly string[] | undefined {
    const value = field(this.#object, name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    throw this.error(name, 'a list of strings');
  }

  stringMap(name: string): Readonly<Record<string, string>> | undefined {
    const value = field(this.#object, name);
    if (value === undefined) return undefined;
    if (isJsonObject(value) && Object.values(value).every((item) => typeof item === 'string'))
      return value as Record<string, string>;
    throw this.error(name, 'a map of strings');
  }

  /** Returns the keys of a map whose values do not matter. */
  keys(name: string): readonly string[] | undefined {
    const value = field(this.#object, name);
    if (value === undefined) return undefined;
    if (!isJsonObject(value)) throw this.error(name, 'a map');
    return Object.keys(value);
  }

  list<T>(name: string, limit: number, read: (item: unknown, where: string) => T): readonly T[] | undefined {
    const value = field(this.#object, name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw this.error(name, 'a list');
    if (value.length > limit) throw this.error(name, `a list of at most ${limit}`);
    return value.map((item, i) => read(item, `${this.#path(name)}[${i}]`));
  }

  object<T>(name: string, read: (item: unknown, where: string) => T): T | undefined {
    const value = field(this.#object, name);
    return value === undefined ? undefined : read(value, this.#path(name));
  }
}
