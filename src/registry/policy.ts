import { globMatcher } from './glob.ts';

/*
 * What a project's owners decide about its content, kept as JSON with the project. Everything is optional; without it,
 * tags move freely, nothing is limited and nothing is removed by itself.
 */

/** Tags that are fixed, with `*` and `?`. */
export interface ImmutableRule {
  readonly tags: string;
  /** Tags that are not, although they match. */
  readonly except: readonly string[];
  /** Repositories below the project, as full names. */
  readonly repositories: string;
  /** Whether a fixed tag may be deleted. */
  readonly allowDelete: boolean;
  /** Whether a deleted tag may come back with other content. */
  readonly allowRecreate: boolean;
}

/** Tags that are kept; a tag goes when rules match it and none keeps it. */
export interface RetentionRule {
  readonly repositories: string;
  readonly tags: string;
  /** Keeps this many tags, the latest pushed first. */
  readonly keepNewest?: number | undefined;
  /** Keeps tags pushed in this many days. */
  readonly keepDays?: number | undefined;
}

/** What a project decides about its content. */
export interface Policy {
  readonly immutable: readonly ImmutableRule[];
  /** Bytes that the project's blobs may take, each counted once. */
  readonly quotaBytes?: number | undefined;
  readonly retention: readonly RetentionRule[];
  /** Removes manifests without a tag that nothing needs after this many days. */
  readonly untaggedDays?: number | undefined;
}

/** A policy as it is written: defaults may be left out. */
export interface PolicyInput extends Partial<Omit<Policy, 'immutable' | 'retention'>> {
  readonly immutable?: readonly (Pick<ImmutableRule, 'tags'> & Partial<ImmutableRule>)[];
  readonly retention?: readonly Partial<RetentionRule>[];
}

/** The policy of a project that decided nothing. */
export const NO_POLICY: Policy = { immutable: [], retention: [] };

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
