import type { Clock } from '../../base/clock.ts';
import { AuditFile } from './audit-file.ts';
import { loadAuditPolicy } from './audit-policy.ts';
import { Auditor } from './auditor.ts';

/** Where the audit log is written and by what policy, as kube-apiserver's flags `--audit-…` say it. */
export interface AuditOptions {
  readonly policyFile: string;
  /** `-` is standard output. */
  readonly logPath: string;
  /** Megabytes at which a file is put aside. */
  readonly maxSize?: number;
  /** Files put aside that are kept. */
  readonly maxBackups?: number;
  /** Days that files put aside are kept. */
  readonly maxAge?: number;
}

/**
 * Reads the policy and opens the file.
 *
 * @throws AuditPolicyError, and system errors when the file cannot be opened
 */
export async function openAuditor(
  options: AuditOptions,
  clock: Clock,
  logger: { error(fields: object, message: string): void } | undefined,
): Promise<Auditor> {
  const policy = await loadAuditPolicy(options.policyFile);
  const { logPath, maxSize, maxBackups, maxAge } = options;
  const now = (): number => clock.now();
  const file = new AuditFile({
    path: logPath,
    ...(maxSize === undefined ? {} : { maxSize }),
    ...(maxBackups === undefined ? {} : { maxBackups }),
    ...(maxAge === undefined ? {} : { maxAge }),
    now,
    onError: (error) => logger?.error({ err: error }, 'Cannot write the audit log'),
  });
  return new Auditor(policy, file, now);
}
