/*
 * name      := component ["/" component]*          at most 255 characters
 * component := alphanumeric [separator alphanumeric]*
 * separator := "." | "_" | "__" | "-"+
 * tag       := [A-Za-z0-9_] [A-Za-z0-9._-]{0,127}
 */

/** @see OCI distribution-spec v1.1.1, "Pulling manifests" */
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
/** Longest repository name: clients limit host and name together to 255 characters. */
const NAME_LIMIT = 255;

/** Tells whether `name` is a repository name. */
export function isRepositoryName(name: string): boolean {
  return name.length <= NAME_LIMIT && NAME.test(name);
}

/** Tells whether `tag` is a tag. */
export function isTag(tag: string): boolean {
  return TAG.test(tag);
}
