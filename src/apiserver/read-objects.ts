import { SelectorError } from '../kube/selector/selector-error.ts';
import { parseFieldSelector, type FieldSelector } from '../kube/selector/field-selector.ts';
import { parseLabelSelector, type LabelSelector } from '../kube/selector/label-selector.ts';
import { goQuote } from '../base/go-quote.ts';
import { invalidValue } from '../kube/field-error.ts';
import {
  badRequest,
  plainError,
  resourceExpired,
  resourceVersionTooLarge,
  StatusError,
} from '../kube/status.ts';

import type { KubeObject } from '../kube/object.ts';
import type { ResourceInfo } from '../kube/resources.ts';
import {
  asServed,
  keyOf,
  mustGet,
  storageName,
  type Answer,
  type ApiCall,
  type ApiContext,
} from './api-call.ts';
import { decodeContinue, encodeContinue } from './continue-token.ts';
import { StoreError, type ListPosition, type StoredRow } from './stored-object.ts';
import { listOptions, type ListRequestOptions } from './request-options.ts';

export interface ListMetadata {
  /** Absent of what is not stored. */
  resourceVersion?: string;
  continue?: string;
  remainingItemCount?: number;
}

/** A list in the form of the wire, before items are turned into rows or metadata. */
export interface ObjectList {
  readonly metadata: ListMetadata;
  readonly items: readonly KubeObject[];
  /**
   * JSON of the items, where it can be had without looking into them; without kind and apiVersion, which only custom
   * objects have in lists.
   */
  readonly texts?: readonly string[] | undefined;
}

/** A list of what is stored: parsed only when its items are asked for. */
class StoredList implements ObjectList {
  readonly metadata: ListMetadata;
  readonly #resource: ResourceInfo;
  readonly #rows: readonly StoredRow[];

  constructor(metadata: ListMetadata, resource: ResourceInfo, rows: readonly StoredRow[]) {
    this.metadata = metadata;
    this.#resource = resource;
    this.#rows = rows;
  }

  get items(): readonly KubeObject[] {
    return this.#rows.map((row) => asServed(this.#resource, row.object));
  }

  get texts(): readonly string[] | undefined {
    if (this.#resource.storedAs !== undefined) return undefined;
    const { kind, apiVersion, custom } = this.#resource;
    if (custom !== undefined) {
      const begin = `{"apiVersion":${JSON.stringify(apiVersion)},`;
      return this.#rows.every((row) => row.body.startsWith(begin))
        ? this.#rows.map((row) => row.body)
        : undefined;
    }
    const head = `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},`;
    if (!this.#rows.every((row) => row.body.startsWith(head))) return undefined;
    return this.#rows.map((row) => `{${row.body.slice(head.length)}`);
  }
}

/** Which objects a list, watch or collection delete is about. */
export interface Selection {
  readonly labels: LabelSelector | undefined;
  readonly fields: FieldSelector | undefined;
  /** Texts that the stored JSON of every matching object holds. */
  readonly containing: readonly string[];
  matches(object: KubeObject): boolean;
}

/** Objects looked at in one go while a selector leaves most of them out. */
const PAGE = 500;

/**
 * Answers `get`.
 *
 * @throws StatusError 500 for a version that is none, 504 when the object is to be newer than anything that is there
 */
export function getObject(context: ApiContext, call: ApiCall): Answer {
  checkFreshness(context, call.request.query.get('resourceVersion') ?? '');
  return { code: 200, value: asServed(call.resource, mustGet(context, call).object) };
}

/**
 * Sees to it that what is read is as new as was asked for, which everything is but what is yet to come.
 *
 * @throws StatusError 500 for no number, 504 for a state of the future
 */
function checkFreshness({ store }: ApiContext, wanted: string): void {
  if (wanted === '') return;
  if (!/^\d+$/.test(wanted)) {
    const { field, message } = invalidValue(
      'resourceVersion',
      wanted,
      `strconv.ParseUint: parsing ${goQuote(wanted)}: invalid syntax`,
    );
    throw plainError(`${field}: ${message}`);
  }
  if (Number(wanted) > store.revision) throw resourceVersionTooLarge(Number(wanted), store.revision);
}

/** @throws StatusError 400 */
export function selectionOf(resource: ResourceInfo, labelText: string, fieldText: string): Selection {
  try {
    const labels = labelText === '' ? undefined : parseLabelSelector(labelText);
    const fields = fieldText === '' ? undefined : parseFieldSelector(fieldText, resource);
    return {
      labels,
      fields,
      containing: [...labelTexts(labels), ...fieldTexts(fields, resource)],
      matches: (object) =>
        (labels?.matches(object.metadata.labels) ?? true) && (fields?.matches(object) ?? true),
    };
  } catch (error) {
    if (error instanceof SelectorError) throw badRequest(error.message);
    throw error;
  }
}

function labelTexts(labels: LabelSelector | undefined): string[] {
  return (labels?.requirements ?? [])
    .filter(({ operator }) => operator === '=' || operator === '==' || operator === 'in')
    .filter(({ values }) => values.length === 1)
    .map(({ key, values }) => `${JSON.stringify(key)}:${JSON.stringify(values[0])}`);
}

/** Fields that hold text under the same last name in every form of the object; numbers and defaults do not. */
const TEXT_FIELD =
  /^(spec\.(nodeName|schedulerName|serviceAccountName)|status\.phase|(involvedObject|regarding)\.(kind|namespace|name|uid))$/;

function fieldTexts(fields: FieldSelector | undefined, resource: ResourceInfo): string[] {
  if (resource.custom !== undefined) return [];
  return (fields?.requirements ?? [])
    .filter(({ field, operator, value }) => operator === '=' && value !== '' && TEXT_FIELD.test(field))
    .map(
      ({ field, value }) =>
        `${JSON.stringify(field.slice(field.lastIndexOf('.') + 1))}:${JSON.stringify(value)}`,
    );
}

/** Answers `list`. */
export function listObjects(context: ApiContext, call: ApiCall): ObjectList {
  const options = listOptions(call.request.query, false);
  const selection = selectionOf(call.resource, options.labelSelector, options.fieldSelector);
  return selectObjects(context, call, options, selection);
}

/** @throws StatusError 410 when the wanted state was forgotten, 504 when it lies in the future */
export function selectObjects(
  context: ApiContext,
  call: ApiCall,
  options: ListRequestOptions,
  selection: Selection,
): ObjectList {
  const { store } = context;
  const { resource } = call;
  const namespace = resource.namespaced && call.request.namespace !== '' ? call.request.namespace : undefined;
  const wanted = options.resourceVersion;
  if (wanted !== undefined && wanted > store.revision) throw resourceVersionTooLarge(wanted, store.revision);
  const name = selection.fields?.exact('metadata.name');
  if (name !== undefined && namespace !== undefined && wanted === undefined && options.continue === '') {
    const found = store.get(keyOf(resource, namespace, name));
    const items = found === undefined || !selection.matches(asServed(resource, found.object)) ? [] : [found];
    return new StoredList({ resourceVersion: String(store.revision) }, resource, items);
  }
  const token = options.continue === '' ? undefined : decodeContinue(options.continue, namespace);
  // A page of a version that is named shows that version, also where the request does not say how to match it.
  const isPageOf = options.match === undefined && options.limit > 0 && wanted !== 0;
  let revision = options.match === 'Exact' || isPageOf ? wanted : undefined;
  if (token !== undefined && token.revision > 0) revision = token.revision;
  const isFiltered = selection.labels !== undefined || selection.fields !== undefined;
  const items: StoredRow[] = [];
  let after: ListPosition | undefined = token?.after;
  let remaining = 0;
  try {
    for (;;) {
      const missing = options.limit === 0 ? 0 : options.limit - items.length;
      const limit = options.limit === 0 ? 0 : isFiltered ? Math.max(PAGE, missing) : missing;
      const page = store.list(storageName(resource), {
        limit,
        containing: selection.containing,
        ...(namespace === undefined ? {} : { namespace }),
        ...(revision === undefined ? {} : { revision }),
        ...(after === undefined ? {} : { after }),
      });
      revision = page.revision;
      remaining = page.remaining;
      for (const [index, item] of page.items.entries()) {
        after = item.key;
        if (isFiltered && !selection.matches(asServed(resource, item.object))) continue;
        items.push(item);
        if (options.limit > 0 && items.length === options.limit) {
          remaining += page.items.length - index - 1;
          break;
        }
      }
      if (remaining === 0 || options.limit === 0 || items.length === options.limit) break;
    }
  } catch (error) {
    if (error instanceof StoreError && error.code === 'EXPIRED') throw expired(token?.after, namespace);
    throw error;
  }
  const metadata: ListMetadata = { resourceVersion: String(revision) };
  if (remaining > 0 && after !== undefined) {
    metadata.continue = encodeContinue({ revision, after }, namespace);
    // With a selector nobody knows how many of the rest match, so the API leaves the count out.
    if (!isFiltered) metadata.remainingItemCount = remaining;
  }
  return new StoredList(metadata, resource, items);
}

function expired(after: ListPosition | undefined, namespace: string | undefined): StatusError {
  if (after === undefined) return resourceExpired('The resourceVersion for the provided list is too old.');
  const { status } = resourceExpired(
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
  );
  return new StatusError({
    ...status,
    metadata: { continue: encodeContinue({ revision: -1, after }, namespace) },
  });
}
