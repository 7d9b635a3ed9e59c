/** Media type of what {@link MetricsCollection.text} returns. @see Prometheus, "Exposition formats", text format 0.0.4 */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** One metric of a collection: it writes its own lines. */
interface Metric {
  readonly name: string;
  lines(): string[];
}

/**
 * Numbers that are counted while serving and read by whoever scrapes them. They cost a lookup each and no memory but their
 * own, which is why the registry counts with them at every request.
 */
export class MetricsCollection {
  readonly #metrics: Metric[] = [];

  /** Adds a metric that only grows. The names of labels are those of `labels`, in the order in which values are given. */
  counter(name: string, help: string, labels: readonly string[] = []): Counter {
    return this.#add(new Counter(name, help, 'counter', labels));
  }

  /** Adds a metric that goes up and down. */
  gauge(name: string, help: string, labels: readonly string[] = []): Counter {
    return this.#add(new Counter(name, help, 'gauge', labels));
  }

  /** Adds a metric of how values are spread: `buckets` are upper bounds in rising order. Without a label there is one spread, from the start. */
  histogram(name: string, help: string, buckets: readonly number[], label?: string): Histogram {
    return this.#add(new Histogram(name, help, buckets, label));
  }

  /** Returns all metrics as Prometheus reads them, by name, each label set in the order in which it was first counted. */
  text(): string {
    const byName = this.#metrics.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return `${byName.flatMap((metric) => metric.lines()).join('\n')}\n`;
  }

  #add<T extends Metric>(metric: T): T {
    this.#metrics.push(metric);
    return metric;
  }
}

/** A number, or one for each combination of label values that was counted. */
class Counter implements Metric {
  readonly name: string;
  readonly #head: readonly string[];
  readonly #labels: readonly string[];
  readonly #values = new Map<string, number>();

  constructor(name: string, help: string, type: 'counter' | 'gauge', labels: readonly string[]) {
    this.#head = headOf(name, help, type);
    this.name = name;
    this.#labels = labels;
    if (labels.length === 0) this.#values.set('', 0);
  }

  /** Adds to the number of these label values. */
  add(value: number, ...labels: readonly string[]): void {
    const key = keyOf(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + value);
  }

  /** Puts a number in place of that of these label values: for gauges. */
  set(value: number, ...labels: readonly string[]): void {
    this.#values.set(keyOf(labels), value);
  }

  lines(): string[] {
    const each = [...this.#values].map(
      ([key, value]) => `${this.name}${labelText(this.#labels, key.split(SEPARATOR))} ${value}`,
    );
    return [...this.#head, ...each];
  }
}

interface Spread {
  /** How many values lie in each bucket and in none before it; the last is for those above all bounds. */
  readonly counts: number[];
  sum: number;
}

class Histogram implements Metric {
  readonly name: string;
  readonly #head: readonly string[];
  readonly #buckets: readonly number[];
  readonly #labels: readonly string[];
  readonly #spreads = new Map<string, Spread>();

  constructor(name: string, help: string, buckets: readonly number[], label: string | undefined) {
    this.#head = headOf(name, help, 'histogram');
    this.name = name;
    this.#buckets = buckets;
    this.#labels = label === undefined ? [] : [label];
    if (label === undefined) this.#spreadOf('');
  }

  /** Counts a value, for a label value where there is a label. */
  observe(value: number, label = ''): void {
    const spread = this.#spreadOf(label);
    let bucket = 0;
    while (bucket < this.#buckets.length && value > (this.#buckets[bucket] ?? 0)) bucket++;
    spread.counts[bucket] = (spread.counts[bucket] ?? 0) + 1;
    spread.sum += value;
  }

  lines(): string[] {
    const lines = [...this.#head];
    for (const [label, { counts, sum }] of this.#spreads) {
      let count = 0;
      for (const [index, within] of counts.entries()) {
        count += within;
        const bound = String(this.#buckets[index] ?? '+Inf');
        const values = this.#labels.length === 0 ? [bound] : [label, bound];
        lines.push(`${this.name}_bucket${labelText([...this.#labels, 'le'], values)} ${count}`);
      }
      const labels = labelText(this.#labels, [label]);
      lines.push(`${this.name}_sum${labels} ${sum}`, `${this.name}_count${labels} ${count}`);
    }
    return lines;
  }

  #spreadOf(label: string): Spread {
    const known = this.#spreads.get(label);
    if (known !== undefined) return known;
    const spread = { counts: Array.from({ length: this.#buckets.length + 1 }, () => 0), sum: 0 };
    this.#spreads.set(label, spread);
    return spread;
  }
}

/** Between label values of a key; no text that is worth a label has it. */
const SEPARATOR = '\0';

function keyOf(labels: readonly string[]): string {
  return labels.length === 1 ? (labels[0] ?? '') : labels.join(SEPARATOR);
}

function headOf(name: string, help: string, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function labelText(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return '';
  const escaped = (text = ''): string =>
    text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
  return `{${names.map((name, index) => `${name}="${escaped(values[index])}"`).join(',')}}`;
}

export type { Counter, Histogram };
