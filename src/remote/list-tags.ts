import { headerOf, readBody } from './exchange.ts';
import { unexpectedStatus } from './registry-answer.ts';
import { RemoteError } from './remote-error.ts';
import type { RepositorySession } from './repository-session.ts';

/** Tags asked for at a time: what most registries give at most. */
const PAGE = 1000;
/** Pages that are followed: whoever has more tags than this does not pick one from a list. */
const MAX_PAGES = 10;
/** A full page of the longest tags, with room. */
const MAX_PAGE_BYTES = 1 << 20;

/**
 * Lists the tags of a repository in the registry's order, at most ten thousand; its own host is asked, mirrors never.
 *
 * @throws RemoteError
 * @see OCI distribution-spec v1.1.1, "Listing Tags"
 */
export async function listTags(session: RepositorySession, signal: AbortSignal): Promise<readonly string[]> {
  const hosts = await session.hosts();
  const host = hosts.findLast((each) => !each.host.mirror) ?? hosts.at(-1);
  if (host === undefined) throw new RemoteError('HOST_CONFIG', 'Cannot list tags: no host is configured');
  const found: string[] = [];
  let path: string | undefined = 'tags/list';
  let query: Readonly<Record<string, string>> = { n: String(PAGE) };
  for (let page = 0; path !== undefined && page < MAX_PAGES; page++) {
    const answer = await session.send(host, { method: 'GET', path, query }, true, signal);
    if (answer.status !== 200) throw await unexpectedStatus(answer);
    const next = nextPage(headerOf(answer, 'link'), answer.url);
    found.push(...tagsOf(await readBody(answer, MAX_PAGE_BYTES)));
    path = next;
    query = {};
  }
  return found;
}

function tagsOf(body: Buffer): string[] {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new RemoteError('BAD_RESPONSE', 'Cannot read the list of tags: the answer is no JSON', {
      cause: error,
    });
  }
  const tags = typeof value === 'object' && value !== null && 'tags' in value ? value.tags : undefined;
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
}

/** A registry that sends its reader to another host is not followed: the credential stays where it belongs. */
function nextPage(link: string | undefined, base: string): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(link ?? '')?.[1];
  const url = target === undefined ? null : URL.parse(target, base);
  return url !== null && url.origin === new URL(base).origin ? url.href : undefined;
}
