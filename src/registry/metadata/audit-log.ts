/** One change, or one refusal. */
export interface AuditEntry {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Account, empty for nobody; what operators do on the machine itself has the account `local`. */
  readonly account: string;
  readonly address: string;
  /** `manifest.push`, `tag.delete`, `user.create`, … */
  readonly action: string;
  /** What it was done to: a repository with tag or digest, an account, a project. */
  readonly target: string;
  readonly outcome: 'done' | 'denied';
  /** More in words; never a secret. */
  readonly detail: string;
  /** ID of the request, as in logs and in `X-Request-Id`. */
  readonly request: string;
}

export interface AuditFilter {
  readonly account?: string;
  readonly outcome?: AuditEntry['outcome'];
  /** Entries at or after this time. */
  readonly since?: number;
}

/** Remembers who changed what and who was refused, for as long as it is told to. */
export interface AuditLog {
  record(entry: AuditEntry): Promise<void>;
  /** Newest first. */
  list(filter: AuditFilter, limit: number): Promise<AuditEntry[]>;
  /** Forgets what is older than `before`; returns how many entries. */
  prune(before: number): Promise<number>;
}
