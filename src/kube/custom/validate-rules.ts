import { invalidValue, notSupported, required, type FieldError } from '../field-error.ts';
import { messageOf } from '../../base/coded-error.ts';
import { CelError } from '../cel/cel-error.ts';
import { compileCel } from '../cel/cel-program.ts';
import { isTransition, type ValidationRule } from './validation-rules.ts';

const REASONS = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];

/**
 * Checks the rules of one place in a definition's schema.
 *
 * @param correlatable whether it can be told which value a value was before: not so below most lists
 */
export function validateSchemaRules(
  rules: readonly unknown[],
  path: string,
  correlatable: boolean,
): FieldError[] {
  return rules.flatMap((each, index) => {
    const at = `${path}.x-kubernetes-validations[${index}]`;
    const rule = each as ValidationRule;
    if (typeof rule.rule !== 'string' || rule.rule.trim() === '') {
      return [required(`${at}.rule`, 'rule is not specified')];
    }
    const errors: FieldError[] = [];
    const { message = '', messageExpression = '', reason, fieldPath } = rule;
    if (message !== '' && message.trim() === '') {
      errors.push(invalidValue(`${at}.message`, message, 'message must be non-empty if specified'));
    } else if (message.trim().includes('\n')) {
      errors.push(invalidValue(`${at}.message`, message, 'message must not contain line breaks'));
    } else if (message === '' && rule.rule.trim().includes('\n') && messageExpression === '') {
      errors.push(
        required(
          `${at}.message`,
          'message or messageExpression must be specified if rule contains line breaks',
        ),
      );
    }
    if (messageExpression !== '' && messageExpression.trim() === '') {
      errors.push(required(`${at}.messageExpression`, 'messageExpression must be non-empty if specified'));
    }
    if (reason !== undefined && !REASONS.includes(reason)) {
      errors.push(notSupported(`${at}.reason`, reason, REASONS));
    }
    if (
      typeof fieldPath === 'string' &&
      fieldPath !== '' &&
      !/^(?:\.[A-Za-z_]\w*|\['[^']+'\])+$/.test(fieldPath)
    ) {
      errors.push(invalidValue(`${at}.fieldPath`, fieldPath, 'fieldPath must be a valid path'));
    }
    if (isTransition(rule) && !correlatable) {
      errors.push(
        invalidValue(
          `${at}.rule`,
          rule.rule,
          `oldSelf cannot be used on the uncorrelatable portion of the schema within ${path}`,
        ),
      );
    }
    errors.push(...compileErrors(rule.rule, `${at}.rule`, rule, ['bool']));
    if (messageExpression.trim() !== '') {
      errors.push(...compileErrors(messageExpression, `${at}.messageExpression`, rule, ['string']));
    }
    return errors;
  });
}

function compileErrors(
  source: string,
  field: string,
  rule: ValidationRule,
  types: readonly string[],
): FieldError[] {
  const shown = {
    Rule: rule.rule,
    Message: rule.message ?? '',
    MessageExpression: rule.messageExpression ?? '',
    Reason: rule.reason ?? null,
    FieldPath: rule.fieldPath ?? '',
    OptionalOldSelf: rule.optionalOldSelf ?? null,
  };
  try {
    const { type } = compileCel(source, ['self', 'oldSelf']);
    if (types.includes(type) || type === 'dyn') return [];
    return [
      invalidValue(
        field,
        shown,
        types[0] === 'bool'
          ? 'cel expression must evaluate to a bool'
          : 'messageExpression must evaluate to a string',
      ),
    ];
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return [invalidValue(field, shown, messageOf(error))];
  }
}
