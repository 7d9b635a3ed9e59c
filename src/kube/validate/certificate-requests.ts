import { X509Certificate } from 'node:crypto';

import { goQuote } from '../../base/go-quote.ts';
import { CertificateRequestError, parseCertificateRequest } from '../certificates/certificate-request.ts';
import {
  duplicateValue,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
  tooLong,
  type FieldError,
} from '../field-error.ts';
import { numberAt, objectAt, objectsAt, stringAt, stringsAt, type JsonObject } from '../json/json-object.ts';
import { labelNameFaults, subdomainFaults } from './name-rules.ts';

const USAGES = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];

/** The signer of old, which a request of this version cannot name. */
const LEGACY_SIGNER = 'kubernetes.io/legacy-unknown';
const SHORTEST_SECONDS = 600;
const LONGEST_SUBDOMAIN = 253;
/** Domain, `/`, and a path that can hold a namespace, a dot and a name. */
const LONGEST_SIGNER = LONGEST_SUBDOMAIN + 1 + LONGEST_SUBDOMAIN + 63 + 1;

/** Conditions that decide about a request. */
const VERDICTS = ['Approved', 'Denied'];

/** Checks a CertificateSigningRequest, less its metadata. */
export function validateCertificateRequest(request: JsonObject): FieldError[] {
  const spec = objectAt(request, 'spec');
  return [
    ...validateRequest(stringAt(spec, 'request')),
    ...validateUsages(stringsAt(spec, 'usages')),
    ...validateSigner(stringAt(spec, 'signerName')),
    ...validateDuration(numberAt(spec, 'expirationSeconds')),
    ...validateConditions(objectsAt(objectAt(request, 'status'), 'conditions')),
    ...validateCertificate(stringAt(objectAt(request, 'status'), 'certificate')),
  ];
}

/** Checks what is decided about a request: only `approval` says yes or no, only `status` brings the certificate. */
export function validateDecision(request: JsonObject, old: JsonObject, subresource: string): FieldError[] {
  const errors = validateCertificateRequest(request);
  const now = objectsAt(objectAt(request, 'status'), 'conditions');
  const before = objectsAt(objectAt(old, 'status'), 'conditions');
  const of = (list: readonly JsonObject[], type: string): JsonObject[] =>
    list.filter((condition) => condition['type'] === type);
  const field = 'status.conditions';
  for (const type of [...VERDICTS, 'Failed']) {
    if (of(now, type).length < of(before, type).length) {
      errors.push(forbiddenField(field, `updates may not remove a condition of type ${goQuote(type)}`));
    }
  }
  for (const type of subresource === 'approval' ? [] : VERDICTS) {
    if (of(now, type).length > of(before, type).length) {
      errors.push(forbiddenField(field, `updates may not add a condition of type ${goQuote(type)}`));
    }
  }
  const given = stringAt(objectAt(request, 'status'), 'certificate');
  const held = stringAt(objectAt(old, 'status'), 'certificate');
  if (given !== held && subresource !== 'status') {
    errors.push(forbiddenField('status.certificate', 'updates may not set certificate content'));
  } else if (given !== held && held !== '') {
    errors.push(forbiddenField('status.certificate', 'updates may not modify existing certificate content'));
  }
  return errors;
}

function validateRequest(request: string): FieldError[] {
  try {
    parseCertificateRequest(Buffer.from(request, 'base64').toString('latin1'));
    return [];
  } catch (error) {
    if (!(error instanceof CertificateRequestError)) throw error;
    return [invalidValue('spec.request', request, error.message)];
  }
}

function validateUsages(usages: readonly string[]): FieldError[] {
  const errors: FieldError[] = usages.length === 0 ? [required('spec.usages')] : [];
  usages.forEach((usage, index) => {
    if (!USAGES.includes(usage)) errors.push(notSupported(`spec.usages[${index}]`, usage, USAGES));
  });
  usages.forEach((usage, index) => {
    if (usages.indexOf(usage) < index) errors.push(duplicateValue(`spec.usages[${index}]`, usage));
  });
  return errors;
}

function validateSigner(name: string): FieldError[] {
  const field = 'spec.signerName';
  if (name === '') return [required(field)];
  if (name === LEGACY_SIGNER) {
    return [invalidValue(field, name, 'the legacy signerName is not allowed via this API version')];
  }
  const [domain = '', path, ...rest] = name.split('/');
  if (path === undefined || rest.length > 0) {
    const why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    return [invalidValue(field, name, why)];
  }
  const errors: FieldError[] = domain.length > LONGEST_SUBDOMAIN ? [tooLong(field, LONGEST_SUBDOMAIN)] : [];
  const labels = domain.split('.');
  errors.push(...validateLabels(field, domain, labels, labelNameFaults));
  if (labels.length < 2) {
    errors.push(
      invalidValue(field, domain, 'should be a domain with at least two segments separated by dots'),
    );
  }
  errors.push(...validateLabels(field, path, path.split('.'), subdomainFaults));
  if (name.length > LONGEST_SIGNER) errors.push(tooLong(field, LONGEST_SIGNER));
  return errors;
}

/** Tells of the first label that is none. */
function validateLabels(
  field: string,
  whole: string,
  labels: readonly string[],
  faultsOf: (label: string) => string[],
): FieldError[] {
  const bad = labels.find((label) => faultsOf(label).length > 0);
  if (bad === undefined) return [];
  return faultsOf(bad).map((fault) =>
    invalidValue(field, whole, `validating label ${goQuote(bad)}: ${fault}`),
  );
}

function validateDuration(seconds: number | undefined): FieldError[] {
  if (seconds === undefined || seconds >= SHORTEST_SECONDS) return [];
  const why = `may not specify a duration less than ${SHORTEST_SECONDS} seconds (10 minutes)`;
  return [invalidValue('spec.expirationSeconds', seconds, why)];
}

function validateConditions(conditions: readonly JsonObject[]): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  conditions.forEach((condition, index) => {
    const path = `status.conditions[${index}]`;
    const type = stringAt(condition, 'type');
    const status = stringAt(condition, 'status');
    if (type === '') errors.push(required(`${path}.type`));
    const allowed = [...VERDICTS, 'Failed'].includes(type) ? ['True'] : ['False', 'True', 'Unknown'];
    if (status === '') errors.push(required(`${path}.status`));
    else if (!allowed.includes(status)) errors.push(notSupported(`${path}.status`, status, allowed));
    if (VERDICTS.includes(type) && VERDICTS.some((other) => other !== type && seen.has(other))) {
      const why = 'Approved and Denied conditions are mutually exclusive';
      errors.push(invalidValue(`${path}.type`, type, why));
    }
    if (seen.has(type)) errors.push(duplicateValue(`${path}.type`, type));
    seen.add(type);
  });
  return errors;
}

function validateCertificate(encoded: string): FieldError[] {
  if (encoded === '') return [];
  const fault = certificateFault(Buffer.from(encoded, 'base64').toString('latin1'));
  return fault === undefined ? [] : [invalidValue('status.certificate', '<certificate data>', fault)];
}

function certificateFault(pem: string): string | undefined {
  const blocks = [...pem.matchAll(/-----BEGIN ([^-]*)-----\r?\n([\s\S]*?)-----END \1-----/g)];
  if (blocks.length === 0) return 'must contain at least one CERTIFICATE PEM block';
  for (const [block, type = '', content = ''] of blocks) {
    if (type !== 'CERTIFICATE') {
      return `only CERTIFICATE PEM blocks are allowed, found ${goQuote(type)}`;
    }
    if (content.includes(':')) return 'no PEM block headers are permitted';
    if (!isCertificate(block)) return 'x509: malformed certificate';
  }
  return undefined;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    // What is wrong with it, OpenSSL says in words that nobody looks for.
    return false;
  }
}
