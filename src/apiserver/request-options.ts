import type { FieldValidation } from '../kube/decode/decode-object.ts';
import {
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  tooLong,
  type FieldError,
} from '../kube/field-error.ts';
import { badRequest, invalid, StatusError } from '../kube/status.ts';
import { goQuote } from '../base/go-quote.ts';
import { isTrue } from './api-request.ts';

/* One function for each set of query parameters; each throws StatusError with the API's text. */

export interface WriteOptions {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation;
  /** `''` when the request names none. */
  readonly fieldManager: string;
  readonly force: boolean;
}

export interface ListRequestOptions {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  /** 0: no limit. */
  readonly limit: number;
  readonly continue: string;
  /** Absent: the newest state. */
  readonly resourceVersion?: number;
  readonly match?: 'Exact' | 'NotOlderThan';
  readonly timeoutSeconds?: number;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents?: boolean;
}

const FIELD_MANAGER_MAX = 128;

function check(kind: string, errors: FieldError[]): void {
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', errors);
}

/** Reads `dryRun`, `fieldValidation`, `fieldManager` and `force`. */
export function writeOptions(
  query: URLSearchParams,
  kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions',
  apply = false,
): WriteOptions {
  const errors: FieldError[] = [];
  const force = query.get('force');
  if (kind === 'PatchOptions' && !apply && force !== null) {
    errors.push(forbiddenField('force', 'may not be specified for non-apply patch'));
  }
  const fieldManager = query.get('fieldManager') ?? '';
  if (apply && fieldManager === '') {
    errors.push(required('fieldManager', 'is required for apply patch'));
  }
  if (Buffer.byteLength(fieldManager) > FIELD_MANAGER_MAX) {
    errors.push(tooLong('fieldManager', FIELD_MANAGER_MAX));
  }
  errors.push(...unprintable(fieldManager));
  const dryRun = dryRunOf(query.getAll('dryRun'), errors);
  const validation = query.get('fieldValidation') ?? '';
  if (validation !== '' && !isFieldValidation(validation)) {
    errors.push(notSupported('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  }
  check(kind, errors);
  const fieldValidation: FieldValidation = isFieldValidation(validation) ? validation : 'Warn';
  return { dryRun, fieldValidation, fieldManager, force: isTrue(force) };
}

/** Names each character that does not print, with its place in bytes. */
function unprintable(fieldManager: string): FieldError[] {
  const errors: FieldError[] = [];
  let place = 0;
  for (const char of fieldManager) {
    if (/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(char)) {
      const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
      const why = `invalid character U+${code} (at position ${place})`;
      errors.push(invalidValue('fieldManager', fieldManager, why));
    }
    place += Buffer.byteLength(char);
  }
  return errors;
}

function isFieldValidation(value: string): value is FieldValidation {
  return value === 'Ignore' || value === 'Warn' || value === 'Strict';
}

function dryRunOf(values: readonly string[], errors: FieldError[]): boolean {
  if (values.length === 0) return false;
  if (values.some((value) => value !== 'All')) {
    errors.push(notSupported('dryRun', values, ['All']));
  }
  return true;
}

export type PropagationPolicy = 'Foreground' | 'Background' | 'Orphan';

export interface DeleteRequestOptions {
  readonly dryRun: boolean;
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: PropagationPolicy;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** The shape of a DeleteOptions body, as decoding leaves it. */
export interface DeleteOptionsBody {
  dryRun?: string[];
  gracePeriodSeconds?: number;
  propagationPolicy?: string;
  orphanDependents?: boolean;
  preconditions?: { uid?: string; resourceVersion?: string };
}

/** Reads the options of a delete from its body or, without one, from the query. */
export function deleteOptions(
  query: URLSearchParams,
  body: DeleteOptionsBody | undefined,
): DeleteRequestOptions {
  const errors: FieldError[] = [];
  const grace = body?.gracePeriodSeconds ?? integer(query.get('gracePeriodSeconds'));
  const policy = body?.propagationPolicy ?? query.get('propagationPolicy') ?? undefined;
  const orphan = body?.orphanDependents ?? booleanOf(query.get('orphanDependents'));
  if (policy !== undefined && orphan !== undefined) {
    const why = 'orphanDependents and deletionPropagation cannot be both set';
    errors.push(invalidValue('propagationPolicy', policy, why));
  }
  if (policy !== undefined && policy !== 'Foreground' && policy !== 'Background' && policy !== 'Orphan') {
    const policies = ['Foreground', 'Background', 'Orphan', 'nil'];
    errors.push(notSupported('propagationPolicy', policy, policies));
  }
  const dryRun = dryRunOf(body?.dryRun ?? query.getAll('dryRun'), errors);
  check('DeleteOptions', errors);
  let propagationPolicy: PropagationPolicy | undefined;
  if (policy === 'Foreground' || policy === 'Background' || policy === 'Orphan') propagationPolicy = policy;
  else if (orphan !== undefined) propagationPolicy = orphan ? 'Orphan' : 'Background';
  const { uid, resourceVersion } = body?.preconditions ?? {};
  return {
    dryRun,
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
}

/** Reads the parameters of list and watch. */
export function listOptions(query: URLSearchParams, watch: boolean): ListRequestOptions {
  const limit = integer(query.get('limit')) ?? 0;
  const timeoutSeconds = integer(query.get('timeoutSeconds'));
  const versionText = query.get('resourceVersion') ?? '';
  const token = query.get('continue') ?? '';
  const match = query.get('resourceVersionMatch') ?? '';
  const sendInitialEvents = booleanOf(query.get('sendInitialEvents'));
  check('ListOptions', listErrors(watch, versionText, match, token, sendInitialEvents));
  const fault = versionFault(versionText);
  if (fault !== undefined) {
    throw watch ? plainFailure(fault) : badRequest(`invalid resource version: ${fault}`);
  }
  if (token !== '' && versionText !== '' && versionText !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  return {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    limit: Math.max(0, limit),
    continue: token,
    allowWatchBookmarks: isTrue(query.get('allowWatchBookmarks')),
    ...(versionText === '' ? {} : { resourceVersion: Number(versionText) }),
    ...(match === 'Exact' || match === 'NotOlderThan' ? { match } : {}),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    ...(sendInitialEvents === undefined ? {} : { sendInitialEvents }),
  };
}

function versionFault(text: string): string | undefined {
  if (text === '' || /^\d+$/.test(text)) return undefined;
  const quoted = goQuote(text);
  return `resourceVersion: Invalid value: ${quoted}: strconv.ParseUint: parsing ${quoted}: invalid syntax`;
}

function listErrors(
  watch: boolean,
  version: string,
  match: string,
  token: string,
  initial: boolean | undefined,
): FieldError[] {
  return watch ? watchErrors(match, token, initial) : plainListErrors(version, match, token, initial);
}

const MATCH = 'resourceVersionMatch';
const noMatchWithToken = (): FieldError =>
  forbiddenField(MATCH, 'resourceVersionMatch is forbidden when continue is provided');

function watchErrors(match: string, token: string, initial: boolean | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const isNotOlder = match === 'NotOlderThan';
  if (initial !== undefined && !isNotOlder) {
    const why = 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan';
    errors.push(forbiddenField(MATCH, why));
  }
  if (match === '') return errors;
  if (initial === undefined) {
    const why = 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided';
    errors.push(forbiddenField(MATCH, why));
  }
  if (!isNotOlder) errors.push(notSupported(MATCH, match, ['NotOlderThan']));
  if (token !== '') errors.push(noMatchWithToken());
  return errors;
}

function plainListErrors(
  version: string,
  match: string,
  token: string,
  initial: boolean | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  if (match !== '') {
    if (version === '') {
      const why = 'resourceVersionMatch is forbidden unless resourceVersion is provided';
      errors.push(forbiddenField(MATCH, why));
    }
    if (token !== '') errors.push(noMatchWithToken());
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      errors.push(notSupported(MATCH, match, ['Exact', 'NotOlderThan', '']));
    }
    if (match === 'Exact' && version === '0') {
      errors.push(forbiddenField(MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (initial !== undefined) {
    errors.push(forbiddenField('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  return errors;
}

/** Makes the answer of a server error to which upstream gives no reason. */
export function plainFailure(message: string, code = 500): StatusError {
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    code,
  });
}

function integer(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text)) {
    throw badRequest(`strconv.ParseInt: parsing ${goQuote(text)}: invalid syntax`);
  }
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw badRequest(`strconv.ParseInt: parsing ${goQuote(text)}: value out of range`);
  }
  return value;
}

function booleanOf(text: string | null): boolean | undefined {
  return text === null ? undefined : isTrue(text);
}
