/**
 * One step of a decision: the rule that spoke, and what it said about which value.
 * `rule` is the number under which `docs/behaviour/` describes it, such as `3.12` or `6.14`.
 */
export interface TraceStep {
  readonly rule: string;
  /** A sentence for people, without secrets: `policy is IfNotPresent and the image is absent: pull`. */
  readonly says: string;
  /** Where the value came from, when that helps: `Secret team-a/regcred`, `/var/lib/kubelet/config.json`. */
  readonly source?: string;
}

/** A result together with the rules that led to it. `explain`, `doctor`, events, console and logs print the one trace. */
export interface Traced<T> {
  readonly result: T;
  readonly trace: readonly TraceStep[];
}
