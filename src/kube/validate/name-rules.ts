/* The forms of names, labels and keys, each as a function from text to what is wrong with it. */

const ALPHANUMERIC_ENDS = 'must start and end with an alphanumeric character';

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const QUALIFIED_PART = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const LABEL_VALUE = `(${QUALIFIED_PART})?`;
const CONFIG_KEY = '[-._a-zA-Z0-9]+';
const LABEL_1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const LOOSE_LABEL = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const LOOSE_SUBDOMAIN = `${LOOSE_LABEL}(\\.${LOOSE_LABEL})*`;
const HEADER_NAME = '[-A-Za-z0-9]+';
const PORT_NAME = /^[-a-z0-9]+$/;
const exactly = (pattern: string): RegExp => new RegExp(`^${pattern}$`);
const LABEL_FORM = exactly(LABEL);
const SUBDOMAIN_FORM = exactly(SUBDOMAIN);
const QUALIFIED_FORM = exactly(QUALIFIED_PART);
const LABEL_VALUE_FORM = exactly(LABEL_VALUE);
const CONFIG_KEY_FORM = exactly(CONFIG_KEY);
const LABEL_1035_FORM = exactly(LABEL_1035);
const LOOSE_SUBDOMAIN_FORM = exactly(LOOSE_SUBDOMAIN);
const HEADER_NAME_FORM = exactly(HEADER_NAME);

const SUBDOMAIN_MAX = 253;
const LABEL_MAX = 63;

/** Says what is wrong with the name of most objects; empty when nothing is. */
export function subdomainFaults(text: string): string[] {
  const faults: string[] = [];
  if (text.length > SUBDOMAIN_MAX) faults.push(tooLongText(SUBDOMAIN_MAX));
  if (!SUBDOMAIN_FORM.test(text)) {
    faults.push(
      `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and ` +
        `${ALPHANUMERIC_ENDS} (e.g. 'example.com', regex used for validation is '${SUBDOMAIN}')`,
    );
  }
  return faults;
}

/** Says what is wrong with a namespace, container or volume name. */
export function labelNameFaults(text: string): string[] {
  const faults: string[] = [];
  if (text.length > LABEL_MAX) faults.push(tooLongText(LABEL_MAX));
  if (!LABEL_FORM.test(text)) {
    faults.push(
      `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and ` +
        `${ALPHANUMERIC_ENDS} (e.g. 'my-name',  or '123-abc', regex used for validation is '${LABEL}')`,
    );
  }
  return faults;
}

/** Says what is wrong with a domain that resolvers search, which may have underscores. */
export function looseSubdomainFaults(text: string): string[] {
  const faults: string[] = [];
  if (text.length > SUBDOMAIN_MAX) faults.push(tooLongText(SUBDOMAIN_MAX));
  if (!LOOSE_SUBDOMAIN_FORM.test(text)) {
    faults.push(
      `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or '.', and ` +
        `${ALPHANUMERIC_ENDS} (e.g. 'example.com', regex used for validation is '${LOOSE_SUBDOMAIN}')`,
    );
  }
  return faults;
}

/** Says what is wrong with the name of an HTTP header. */
export function headerNameFaults(text: string): string[] {
  if (HEADER_NAME_FORM.test(text)) return [];
  return [
    "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for " +
      `validation is '${HEADER_NAME}')`,
  ];
}

/** Says what is wrong with a name that becomes a DNS name by itself, such as a Service's. */
export function dns1035Faults(text: string): string[] {
  const faults: string[] = [];
  if (text.length > LABEL_MAX) faults.push(tooLongText(LABEL_MAX));
  if (!LABEL_1035_FORM.test(text)) {
    faults.push(
      `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic ` +
        `character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for ` +
        `validation is '${LABEL_1035}')`,
    );
  }
  return faults;
}

/** Says what is wrong with the name of an RBAC object: only what a path cannot carry. */
export function pathSegmentFaults(text: string): string[] {
  if (text === '.' || text === '..') return [`may not be '${text}'`];
  const faults: string[] = [];
  if (text.includes('/')) faults.push("may not contain '/'");
  if (text.includes('%')) faults.push("may not contain '%'");
  return faults;
}

/** Says what is wrong with a label key, annotation key, finalizer or taint key: `[prefix/]name`. */
export function qualifiedNameFaults(text: string): string[] {
  const parts = text.split('/');
  const faults: string[] = [];
  const name = parts.length === 2 ? (parts[1] ?? '') : (parts[0] ?? '');
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    if (prefix === '') faults.push('prefix part must be non-empty');
    else faults.push(...subdomainFaults(prefix).map((fault) => `prefix part ${fault}`));
  } else if (parts.length > 2) {
    return [
      `a qualified name must consist of alphanumeric characters, '-', '_' or '.', and ${ALPHANUMERIC_ENDS} ` +
        `(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${QUALIFIED_PART}') with an ` +
        "optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
    ];
  }
  if (name === '') faults.push('name part must be non-empty');
  else if (name.length > LABEL_MAX) faults.push(`name part ${tooLongText(LABEL_MAX)}`);
  if (!QUALIFIED_FORM.test(name)) {
    faults.push(
      `name part must consist of alphanumeric characters, '-', '_' or '.', and ${ALPHANUMERIC_ENDS} ` +
        `(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${QUALIFIED_PART}')`,
    );
  }
  return faults;
}

/** Says what is wrong with a label value. */
export function labelValueFaults(text: string): string[] {
  const faults: string[] = [];
  if (text.length > LABEL_MAX) faults.push(tooLongText(LABEL_MAX));
  if (!LABEL_VALUE_FORM.test(text)) {
    faults.push(
      `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and ` +
        `${ALPHANUMERIC_ENDS} (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is ` +
        `'${LABEL_VALUE}')`,
    );
  }
  return faults;
}

/** Says what is wrong with a key of a Secret or ConfigMap (rule 7.1). */
export function configKeyFaults(text: string): string[] {
  const faults: string[] = [];
  if (text.length > SUBDOMAIN_MAX) faults.push(tooLongText(SUBDOMAIN_MAX));
  if (!CONFIG_KEY_FORM.test(text)) {
    faults.push(
      `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or ` +
        `'KEY_NAME',  or 'key-name', regex used for validation is '${CONFIG_KEY}')`,
    );
  }
  if (text === '.' || text === '..') faults.push(`must not be '${text}'`);
  else if (text.startsWith('..')) faults.push("must not start with '..'");
  return faults;
}

/** Says what is wrong with the name of an environment variable: any printable ASCII but `=` will do. */
export function envNameFaults(text: string): string[] {
  if (/^[ -<>-~]+$/.test(text)) return [];
  return ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** Says what is wrong with the name of a container port. */
export function portNameFaults(text: string): string[] {
  const faults: string[] = [];
  if (text.length > 15) faults.push('must be no more than 15 characters');
  if (!PORT_NAME.test(text))
    faults.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(text)) faults.push('must contain at least one letter (a-z)');
  if (text.includes('--')) faults.push('must not contain consecutive hyphens');
  if (text !== '' && (text.startsWith('-') || text.endsWith('-'))) {
    faults.push('must not begin or end with a hyphen');
  }
  return faults;
}

/** Says what is wrong with a port number. */
export function portNumberFaults(port: number): string[] {
  return port >= 1 && port <= 65_535 ? [] : ['must be between 1 and 65535, inclusive'];
}

function tooLongText(max: number): string {
  return `must be no more than ${max} characters`;
}
