import { setImmediate as breathe } from 'node:timers/promises';
import { jsonAnswer, type Answer } from './answer.ts';
import type { Exchange, Service } from './exchange.ts';
import { nameUnknown } from '../unknown-content.ts';
import type { Page } from './request-target.ts';

/** Names on one page at most, and when the client does not say: about 1 MiB of JSON. */
const PAGE_LIMIT = 10_000;
/** Names looked at for one page of a catalog before it is cut: a caller with few rights must not scan all. */
const CATALOG_SCAN_LIMIT = 50_000;
/** Names looked at before others get their turn: some three milliseconds' work. */
const CATALOG_TURN = 200;

/**
 * GET of a repository's tags.
 *
 * @param elsewhere tags that an upstream has beside those that are here
 * @see OCI distribution-spec v1.1.1, "Listing Tags"
 */
export async function listTags(
  service: Service,
  { repository, page }: { repository: string; page: Page },
  elsewhere: readonly string[] = [],
): Promise<Answer> {
  const { listing } = service.metadata;
  const limit = Math.min(page.limit ?? PAGE_LIMIT, PAGE_LIMIT);
  const here = limit === 0 ? [] : await listing.listTags(repository, page.after, limit + 1);
  const isKnown = here.length > 0 || elsewhere.length > 0 || (await listing.hasRepository(repository));
  if (!isKnown) throw nameUnknown(repository);
  const found = limit === 0 ? [] : merged(here, elsewhere, page.after);
  const tags = found.slice(0, limit);
  const next = found.length > limit ? nextLink(`/v2/${repository}/tags/list`, limit, tags.at(-1)) : {};
  return jsonAnswer(200, { name: repository, tags }, next);
}

/** GET of the catalog: the repositories that the caller may pull from. */
export async function listCatalog(
  service: Service,
  { caller }: Exchange,
  { page }: { page: Page },
): Promise<Answer> {
  const limit = Math.min(page.limit ?? PAGE_LIMIT, PAGE_LIMIT);
  const repositories: string[] = [];
  let after = page.after;
  let more = limit > 0;
  for (let scanned = 0; more && repositories.length < limit && scanned < CATALOG_SCAN_LIMIT;) {
    const names = await service.metadata.listing.listRepositories(after, 1_000);
    for (const name of names) {
      if (repositories.length === limit) break;
      after = name;
      if (++scanned % CATALOG_TURN === 0) await breathe();
      if ((await service.rights.actionsOn(caller.identity, name)).has('pull')) repositories.push(name);
    }
    more = names.length > 0 && !(names.length < 1_000 && after === names.at(-1));
  }
  return jsonAnswer(200, { repositories }, more ? nextLink('/v2/_catalog', limit, after) : {});
}

/** Merges names that follow `after`, in ASCII order. */
function merged(here: readonly string[], elsewhere: readonly string[], after: string): readonly string[] {
  if (elsewhere.length === 0) return here;
  const all = new Set([...here, ...elsewhere.filter((name) => name > after)]);
  return [...all].sort((a, b) => (a < b ? -1 : 1));
}

/** Returns the header that leads to the next page. @see RFC 8288 */
export function nextLink(
  path: string,
  limit: number,
  last: string | undefined,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const query = new URLSearchParams({ ...extra, last: last ?? '', n: String(limit) });
  return { Link: `<${path}?${query.toString()}>; rel="next"` };
}
