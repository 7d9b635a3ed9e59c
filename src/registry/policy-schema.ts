import { z } from 'zod';
import type { Policy } from './policy.ts';

/*
 * How a policy is written. Apart from policy.ts, because the schema library takes megabytes that a registry need
 * not spend to serve: this is loaded when a policy is set.
 */

const pattern = z.string().min(1).max(256);

const immutableRule = z.strictObject({
  /** Tags that are fixed, with `*` and `?`. */
  tags: pattern,
  /** Tags that are not, although they match. */
  except: z.array(pattern).default([]),
  /** Repositories below the project, as full names. */
  repositories: pattern.default('*'),
  /** Whether a fixed tag may be deleted. */
  allowDelete: z.boolean().default(false),
  /** Whether a deleted tag may come back with other content. */
  allowRecreate: z.boolean().default(false),
});

const retentionRule = z.strictObject({
  repositories: pattern.default('*'),
  tags: pattern.default('*'),
  /** Keeps this many tags, the latest pushed first. */
  keepNewest: z.int().min(0).optional(),
  /** Keeps tags pushed in this many days. */
  keepDays: z.number().min(0).optional(),
});

export const policySchema: z.ZodType<Policy> = z.strictObject({
  immutable: z.array(immutableRule).default([]),
  /** Bytes that the project's blobs may take, each counted once. */
  quotaBytes: z.int().min(0).optional(),
  retention: z.array(retentionRule).default([]),
  /** Removes manifests without a tag that nothing needs after this many days. */
  untaggedDays: z.number().min(0).optional(),
});
