import { z } from 'zod';
import { globMatcher } from './glob.ts';

/*
 * What a project's owners decide about its content, kept as JSON with the project. Everything is optional; without it,
 * tags move freely, nothing is limited and nothing is removed by itself.
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

export const policySchema = z.strictObject({
  immutable: z.array(immutableRule).default([]),
  /** Bytes that the project's blobs may take, each counted once. */
  quotaBytes: z.int().min(0).optional(),
  retention: z.array(retentionRule).default([]),
  /** Removes manifests without a tag that nothing needs after this many days. */
  untaggedDays: z.number().min(0).optional(),
});

/** What a project decides about its content. */
export type Policy = z.output<typeof policySchema>;
export type RetentionRule = Policy['retention'][number];
/** A policy as it is written: defaults may be left out. */
export type PolicyInput = z.input<typeof policySchema>;

/** The policy of a project that decided nothing. */
export const NO_POLICY: Policy = policySchema.parse({});

/** What may be done to one tag. */
export interface TagProtection {
  readonly mayMove: boolean;
  readonly mayDelete: boolean;
  /** Whether it may come back with other content after it was deleted. */
  readonly mayRecreate: boolean;
}

const FREE: TagProtection = { mayMove: true, mayDelete: true, mayRecreate: true };

/** Returns what a policy lets be done to a tag; the first rule that matches decides. */
export function tagProtection(policy: Policy, repository: string, tag: string): TagProtection {
  for (const rule of policy.immutable) {
    if (!globMatcher(rule.repositories)(repository) || !globMatcher(rule.tags)(tag)) continue;
    if (rule.except.some((one) => globMatcher(one)(tag))) continue;
    return { mayMove: false, mayDelete: rule.allowDelete, mayRecreate: rule.allowRecreate };
  }
  return FREE;
}
