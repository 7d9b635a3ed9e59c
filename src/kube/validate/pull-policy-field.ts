import { notSupported, required, type FieldError } from '../field-error.ts';

const POLICIES: readonly string[] = ['Always', 'IfNotPresent', 'Never'];

/** Checks a pull policy after defaulting (rule 2.6). */
export function validatePullPolicy(policy: string, path: string): FieldError[] {
  if (policy === '') return [required(path)];
  return POLICIES.includes(policy) ? [] : [notSupported(path, policy, POLICIES)];
}
