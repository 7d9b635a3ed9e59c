import { formatBytes } from './byte-size.ts';
import type { ProjectIndex } from './metadata/identity-index.ts';
import type { UploadIndex } from './metadata/registry-index.ts';
import { governingProject } from './project-policies.ts';
import { RegistryError } from './registry-error.ts';

/** Bytes reserved at a time for a body of unknown length: few transactions, and little is promised in vain. */
const STEP_BYTES = 16 * 1024 * 1024;

/** Sees to it that one upload stays within its project's quota. */
export interface UploadQuota {
  /**
   * Makes sure that `total` bytes of the upload are reserved.
   *
   * @throws RegistryError `DENIED` when the project has not as much left
   */
  cover(total: number): Promise<void>;
}

const UNLIMITED: UploadQuota = { cover: async () => {} };

/**
 * Returns the quota of an upload.
 *
 * @param announced bytes that the upload will have at least, when its client said so
 */
export async function uploadQuota(
  parts: { projects: Pick<ProjectIndex, 'findProjects'>; uploads: Pick<UploadIndex, 'reserveUpload'> },
  upload: { id: string; repository: string },
  announced: number,
): Promise<UploadQuota> {
  const { name: project, policy } = await governingProject(parts.projects, upload.repository);
  const { quotaBytes } = policy;
  if (project === undefined || quotaBytes === undefined) return UNLIMITED;
  let reserved = 0;
  const reserve = async (bytes: number): Promise<void> => {
    const refusal = await parts.uploads.reserveUpload(upload.id, project, bytes, quotaBytes);
    if (refusal !== undefined) throw exceeded(project, quotaBytes, refusal.used, bytes);
    reserved = bytes;
  };
  if (announced > 0) await reserve(announced);
  return {
    cover: async (total) => {
      if (total <= reserved) return;
      // Near the limit the step may not fit although the bytes do.
      await reserve(total + STEP_BYTES).catch((error: unknown) => {
        if (!(error instanceof RegistryError)) throw error;
        return reserve(total);
      });
    },
  };
}

function exceeded(project: string, quota: number, used: number, asked: number): RegistryError {
  const says = `${formatBytes(used)} of ${formatBytes(quota)} used, ${formatBytes(asked)} more needed`;
  return new RegistryError('QUOTA_EXCEEDED', `quota of project "${project}" exceeded: ${says}`, {
    detail: { project, quotaBytes: quota, usedBytes: used },
  });
}
