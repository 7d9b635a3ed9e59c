import { CodedError, messageOf } from '../../base/coded-error.ts';
import { parseGoDuration } from '../../base/go-duration.ts';

/** `BAD_SYNTAX`: not readable at all. `BAD_FIELD`: a field of the wrong kind. `INVALID`: a value that Kubernetes refuses. */
export class ConfigurationError extends CodedError<'BAD_SYNTAX' | 'BAD_FIELD' | 'INVALID'> {}

/** A KubeletConfiguration as it was written: fields of others (`evictionHard`, …) are read from here. */
export type KubeletConfigurationDocument = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads typed fields of a configuration; null counts as absent. Each throws `BAD_FIELD` on a value of another kind. */
export class ConfigurationFields {
  readonly #document: Readonly<Record<string, unknown>>;

  constructor(document: Readonly<Record<string, unknown>>) {
    this.#document = document;
  }

  #value(name: string): unknown {
    return Object.hasOwn(this.#document, name) ? (this.#document[name] ?? undefined) : undefined;
  }

  #bad(name: string, expected: string): ConfigurationError {
    return new ConfigurationError(
      'BAD_FIELD',
      `Cannot read the kubelet configuration: ${name} is not ${expected}`,
    );
  }

  integer(name: string): number | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    const fits = typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 2 ** 31 - 1;
    if (!fits) throw this.#bad(name, 'an integer of 32 bits');
    return value;
  }

  boolean(name: string): boolean | undefined {
    const value = this.#value(name);
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.#bad(name, 'a boolean');
  }

  string(name: string): string | undefined {
    const value = this.#value(name);
    if (value === undefined || typeof value === 'string') return value;
    throw this.#bad(name, 'a string');
  }

  strings(name: string): readonly string[] | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    throw this.#bad(name, 'a list of strings');
  }

  object(name: string): Readonly<Record<string, unknown>> {
    const value = this.#value(name);
    if (value === undefined) return {};
    if (isObject(value)) return value;
    throw this.#bad(name, 'an object');
  }

  texts(name: string): Readonly<Record<string, string>> | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    const fits = isObject(value) && Object.values(value).every((item) => typeof item === 'string');
    if (!fits) throw this.#bad(name, 'a map of strings');
    return value as Record<string, string>;
  }

  /** Returns milliseconds. */
  duration(name: string): number | undefined {
    const text = this.string(name);
    if (text === undefined) return undefined;
    try {
      return parseGoDuration(text);
    } catch (error) {
      throw new ConfigurationError(
        'BAD_FIELD',
        `Cannot read the kubelet configuration: ${name}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
}
