import { InvalidArgumentError, type Command } from 'commander';
import type { AuditOptions } from '../apiserver/audit/open-auditor.ts';
import { choosePlugins, PluginChoiceError } from '../apiserver/builtin-plugins.ts';
import { UsageError } from './exit.ts';

/** What the command line says about the API server, under kube-apiserver's own names. */
export interface ApiFlags {
  readonly enableAdmissionPlugins?: string;
  readonly disableAdmissionPlugins?: string;
  readonly admissionControlConfigFile?: string;
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxsize?: number;
  readonly auditLogMaxbackup?: number;
  readonly auditLogMaxage?: number;
}

/** The same as settings of the system. */
export interface ApiSettings {
  readonly admissionPlugins: readonly string[];
  readonly disabledAdmissionPlugins: readonly string[];
  readonly admissionControlConfigFile?: string;
  readonly audit?: AuditOptions;
}

/** Adds kube-apiserver's flags about admission and the audit log. */
export function withApiSettings(command: Command): Command {
  return command
    .option(
      '--enable-admission-plugins <names>',
      'admission plugins that are off by default, separated by commas: AlwaysPullImages, ImagePolicyWebhook',
    )
    .option('--disable-admission-plugins <names>', 'admission plugins to switch off, separated by commas')
    .option(
      '--admission-control-config-file <file>',
      "admission configuration in the kube-apiserver's own form, which ImagePolicyWebhook needs",
    )
    .option('--audit-policy-file <file>', 'which requests are recorded (kind Policy of audit.k8s.io/v1)')
    .option(
      '--audit-log-path <file>',
      'where requests are recorded, a line of JSON each; - is standard output',
    )
    .option(
      '--audit-log-maxsize <megabytes>',
      'size at which the audit log is put aside (default: 100)',
      countOf,
    )
    .option('--audit-log-maxbackup <count>', 'audit logs put aside that are kept (default: all)', countOf)
    .option(
      '--audit-log-maxage <days>',
      'days that audit logs put aside are kept (default: for ever)',
      countOf,
    );
}

/**
 * Reads the flags.
 *
 * @throws UsageError with kube-apiserver's text for plugins that are unknown or both on and off
 */
export function apiSettings(flags: ApiFlags): ApiSettings {
  const admissionPlugins = namesIn(flags.enableAdmissionPlugins);
  const disabledAdmissionPlugins = namesIn(flags.disableAdmissionPlugins);
  try {
    choosePlugins(admissionPlugins, disabledAdmissionPlugins);
  } catch (error) {
    if (!(error instanceof PluginChoiceError)) throw error;
    throw new UsageError(error.message);
  }
  const { auditPolicyFile, auditLogPath, auditLogMaxsize, auditLogMaxbackup, auditLogMaxage } = flags;
  if ((auditPolicyFile === undefined) !== (auditLogPath === undefined)) {
    throw new UsageError('--audit-policy-file and --audit-log-path go together: which requests, and where');
  }
  const { admissionControlConfigFile } = flags;
  return {
    admissionPlugins,
    disabledAdmissionPlugins,
    ...(admissionControlConfigFile === undefined ? {} : { admissionControlConfigFile }),
    ...(auditPolicyFile === undefined || auditLogPath === undefined
      ? {}
      : {
          audit: {
            policyFile: auditPolicyFile,
            logPath: auditLogPath,
            ...(auditLogMaxsize === undefined ? {} : { maxSize: auditLogMaxsize }),
            ...(auditLogMaxbackup === undefined ? {} : { maxBackups: auditLogMaxbackup }),
            ...(auditLogMaxage === undefined ? {} : { maxAge: auditLogMaxage }),
          },
        }),
  };
}

function namesIn(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function countOf(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('this is a whole number.');
  return Number(text);
}
