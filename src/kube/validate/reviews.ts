import { invalidValue, type FieldError } from '../field-error.ts';
import { objectAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { internalForm } from './internal-form.ts';

/** Checks the kinds that ask whether somebody may do something. */
export function validateAccessReview(review: JsonObject): FieldError[] {
  const kind = stringAt(review, 'kind');
  const spec = objectAt(review, 'spec') ?? {};
  const errors: FieldError[] = [];
  const resource = objectAt(spec, 'resourceAttributes');
  const path = objectAt(spec, 'nonResourceAttributes');
  const { namespace, ...metadata } = objectAt(review, 'metadata') ?? {};
  const isLocal = kind === 'LocalSubjectAccessReview';
  const given = { ...metadata, ...(isLocal || namespace === undefined ? {} : { namespace }) };
  const shownPath =
    path === undefined ? undefined : internalForm(path, 'authorization.v1.NonResourceAttributes');
  const isSelf = kind === 'SelfSubjectAccessReview';
  if (resource !== undefined && path !== undefined) {
    errors.push(
      invalidValue(
        'spec.nonResourceAttributes',
        shownPath,
        'cannot be specified in combination with resourceAttributes',
      ),
    );
  }
  if (resource === undefined && path === undefined) {
    errors.push(
      invalidValue(
        'spec.resourceAttributes',
        null,
        'exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ),
    );
  }
  if (!isSelf && stringAt(spec, 'user') === '' && stringsAt(spec, 'groups').length === 0) {
    errors.push(invalidValue('spec.user', '', 'at least one of user or group must be specified'));
  }
  if (Object.keys(given).length > 0) {
    errors.push(invalidValue('metadata', objectAt(review, 'metadata'), 'must be empty'));
  }
  if (isLocal) {
    const asked = stringAt(resource, 'namespace');
    if (path !== undefined) {
      errors.push(
        invalidValue('spec.nonResourceAttributes', shownPath, 'disallowed on this kind of request'),
      );
    }
    if (resource !== undefined && asked !== (namespace ?? '')) {
      errors.push(invalidValue('spec.resourceAttributes.namespace', asked, 'must match metadata.namespace'));
    }
  }
  return errors;
}
