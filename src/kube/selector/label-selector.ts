export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | '=' | '==' | '!=' | 'exists' | '!' | 'gt' | 'lt';
  readonly values: readonly string[];
}

/** A set of requirements, all of which must hold. */
export interface LabelSelector {
  readonly requirements: readonly LabelRequirement[];
  matches(labels: Readonly<Record<string, string>> | undefined): boolean;
  /** Canonical text. */
  toString(): string;
}

/** The selector inside objects: `spec.selector` of workloads, affinity terms. */
export interface LabelSelectorObject {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

/** Reads `a=b,c!=d,e in (f,g),!h`; empty text selects everything. Throws `SelectorError` with the API's text (answer 400). */
export declare function parseLabelSelector(text: string): LabelSelector;
/** Turns an object's selector into one that matches; absent selects nothing, empty everything. */
export declare function labelSelectorOf(selector: LabelSelectorObject | undefined): LabelSelector;
/** Prints an object's selector as kubectl's tables do: `app=d,tier in (a,b)`, `<none>`. */
export declare function formatLabelSelector(selector: LabelSelectorObject | undefined): string;
