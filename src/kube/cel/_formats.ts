import { Optional, type Environment } from '@marcbachmann/cel-js';
import {
  dns1035Faults,
  labelNameFaults,
  labelValueFaults,
  qualifiedNameFaults,
  subdomainFaults,
} from '../validate/name-rules.ts';
import { addNamespace, adderTo } from './_add-functions.ts';

type Faults = (text: string) => string[];

class Format {
  readonly name: string;
  readonly faults: Faults;

  constructor(name: string, faults: Faults) {
    this.name = name;
    this.faults = faults;
  }
}

/** A part of a name that the server will complete. */
const prefixOf =
  (faults: Faults): Faults =>
  (text) =>
    faults(text.replace(/[-.]$/, 'a'));
const matching =
  (pattern: RegExp, fault: string): Faults =>
  (text) =>
    pattern.test(text) ? [] : [fault];

const FORMATS: Readonly<Record<string, Faults>> = {
  dns1123Label: labelNameFaults,
  dns1123Subdomain: subdomainFaults,
  dns1035Label: dns1035Faults,
  qualifiedName: qualifiedNameFaults,
  dns1123LabelPrefix: prefixOf(labelNameFaults),
  dns1123SubdomainPrefix: prefixOf(subdomainFaults),
  dns1035LabelPrefix: prefixOf(dns1035Faults),
  labelValue: labelValueFaults,
  uri: (text) => (URL.canParse(text) || text.startsWith('/') ? [] : ['invalid URI']),
  uuid: matching(
    /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i,
    'does not match the UUID format',
  ),
  byte: matching(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, 'invalid base64'),
  date: matching(/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/, 'invalid date'),
  datetime: (text) => (Number.isNaN(Date.parse(text)) ? ['invalid datetime'] : []),
};

/** Adds `format`, which says what is wrong with a name or a value. */
export function addFormats(env: Environment): void {
  const add = adderTo(env);
  const space = addNamespace(env, 'format');
  const type = 'kubernetes.NamedFormat';
  env.registerType(type, { ctor: Format, fields: {} });
  for (const [name, faults] of Object.entries(FORMATS)) {
    const format = new Format(name, faults);
    add(`${space}.${name}(): ${type}`, () => format);
  }
  add(`${space}.named(string): optional<${type}>`, (_: unknown, name: string) => {
    const faults = Object.hasOwn(FORMATS, name) ? FORMATS[name] : undefined;
    return faults === undefined ? Optional.none() : Optional.of(new Format(name, faults));
  });
  add(`${type}.validate(string): optional<list<string>>`, (format: Format, text: string) => {
    const faults = format.faults(text);
    return faults.length === 0 ? Optional.none() : Optional.of(faults);
  });
}
