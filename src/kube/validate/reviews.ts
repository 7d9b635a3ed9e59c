import { invalidValue, type FieldError } from '../field-error.ts';
import { objectAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';

/** Checks the kinds that ask whether somebody may do something. */
export function validateAccessReview(review: JsonObject): FieldError[] {
  const kind = stringAt(review, 'kind');
  const spec = objectAt(review, 'spec') ?? {};
  const errors: FieldError[] = [];
  const resource = objectAt(spec, 'resourceAttributes');
  const path = objectAt(spec, 'nonResourceAttributes');
  const isSelf = kind === 'SelfSubjectAccessReview';
  if (resource !== undefined && path !== undefined) {
    errors.push(
      invalidValue(
        'spec.nonResourceAttributes',
        path,
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
  if (kind === 'LocalSubjectAccessReview') {
    const namespace = stringAt(objectAt(review, 'metadata'), 'namespace');
    const asked = stringAt(resource, 'namespace');
    if (path !== undefined) {
      errors.push(invalidValue('spec.nonResourceAttributes', path, 'disallowed on this kind of request'));
    }
    if (resource !== undefined && asked !== namespace) {
      errors.push(invalidValue('spec.resourceAttributes.namespace', asked, 'must match metadata.namespace'));
    }
  }
  return errors;
}
