import type { AuditEntry } from '../metadata/audit-log.ts';
import type { RegistryErrorCode } from '../registry-error.ts';
import type { ManifestReference, RegistryRequest } from './request-target.ts';

/** What a request did, or would have done: for the audit log. Reading is no change and has an empty action. */
export interface AuditSubject {
  readonly action: string;
  readonly target: string;
}

/** Names the change that a request makes. */
export function auditSubject(request: RegistryRequest): AuditSubject {
  switch (request.kind) {
    case 'putManifest':
      return { action: 'manifest.push', target: named(request.repository, request.reference) };
    case 'deleteManifest': {
      const action = request.reference.by === 'tag' ? 'tag.delete' : 'manifest.delete';
      return { action, target: named(request.repository, request.reference) };
    }
    case 'pushBlob':
    case 'finishUpload':
      return { action: 'blob.push', target: `${request.repository}@${request.digest}` };
    case 'mountBlob':
      return { action: 'blob.mount', target: `${request.repository}@${request.digest}` };
    case 'deleteBlob':
      return { action: 'blob.delete', target: `${request.repository}@${request.digest}` };
    case 'startUpload':
    case 'appendUpload':
    case 'cancelUpload':
    case 'uploadStatus':
      return { action: '', target: request.repository };
    case 'tags':
    case 'referrers':
      return { action: '', target: request.repository };
    case 'getManifest':
      return { action: '', target: named(request.repository, request.reference) };
    case 'getBlob':
      return { action: '', target: `${request.repository}@${request.digest}` };
    case 'catalog':
      return { action: '', target: '_catalog' };
    case 'ping':
      return { action: '', target: '' };
  }
}

function named(repository: string, reference: ManifestReference): string {
  return reference.by === 'tag' ? `${repository}:${reference.tag}` : `${repository}@${reference.digest}`;
}

/** What came of a request. */
export interface AuditOutcome {
  readonly status: number;
  readonly code: RegistryErrorCode | undefined;
  readonly message: string;
  /** Whether a credential came with it: the first request of every client comes without and is refused. */
  readonly presented: boolean;
}

/**
 * Returns what the audit log has to know of a request: each change that was made, each refusal of somebody who presented
 * a credential. Undefined for the rest.
 */
export function auditOutcome(
  subject: AuditSubject,
  outcome: AuditOutcome,
): Pick<AuditEntry, 'action' | 'target' | 'outcome' | 'detail'> | undefined {
  const { action, target } = subject;
  const { status, code, message, presented } = outcome;
  const refused =
    code === 'DENIED' || code === 'QUOTA_EXCEEDED' || code === 'UNAUTHORIZED' || code === 'TOOMANYREQUESTS';
  if (refused && presented) {
    return { action: action === '' ? 'access' : action, target, outcome: 'denied', detail: message };
  }
  if (action === '' || status >= 300) return undefined;
  // A mount that found nothing began an upload, and changed nothing yet.
  if (action === 'blob.mount' && status !== 201) return undefined;
  return { action, target, outcome: 'done', detail: '' };
}
