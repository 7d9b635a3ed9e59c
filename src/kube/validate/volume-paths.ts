import { invalidValue, type FieldError } from '../field-error.ts';

/** Tells whether a path has a step upwards. */
export function hasBacksteps(path: string): boolean {
  return path.split('/').includes('..');
}

/** Checks that a path has no step upwards. */
export function validateNoBacksteps(text: string, path: string): FieldError[] {
  return hasBacksteps(text) ? [invalidValue(path, text, "must not contain '..'")] : [];
}

/** Checks a path that must stay below where it is used; an empty one is for others to judge. */
export function validateDescendingPath(text: string, path: string): FieldError[] {
  const errors = text.startsWith('/') ? [invalidValue(path, text, 'must be a relative path')] : [];
  return [...errors, ...validateNoBacksteps(text, path)];
}

/** Checks a path for a file of a volume: nor may it begin with two dots, which the node needs itself. */
export function validateFilePath(text: string, path: string): FieldError[] {
  const errors = validateDescendingPath(text, path);
  if (text.startsWith('..') && !text.startsWith('../')) {
    errors.push(invalidValue(path, text, "must not start with '..'"));
  }
  return errors;
}
