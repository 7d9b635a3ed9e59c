import { invalidValue, type FieldError } from '../field-error.ts';
import { objectAt, objectsAt, type JsonObject } from '../json/json-object.ts';
import { subdomainFaults } from './name-rules.ts';

const MAX_CREDENTIAL_KIB = 64;
const MAX_DOMAIN = 256;
const MAX_USER = 104;

/** A NetBIOS domain begins with no dot and has 15 characters at most, none of which a path or a pattern uses. */
const NETBIOS = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/;
const DNS_LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const DNS_DOMAIN = new RegExp(`^${DNS_LABEL}(?:\\.${DNS_LABEL})*$`);
const CONTROL = /[\u0000-\u001f\u007f]/;
const NOT_IN_USER = /["/\\:;|=,+*?<>@[\]]/;

/** Checks what a Pod or a container asks of Windows. */
export function validateWindowsOptions(options: JsonObject | undefined, path: string): FieldError[] {
  if (options === undefined) return [];
  const name = options['gmsaCredentialSpecName'];
  const errors: FieldError[] =
    typeof name === 'string'
      ? subdomainFaults(name).map((fault) => invalidValue(`${path}.gmsaCredentialSpecName`, name, fault))
      : [];
  const credential = options['gmsaCredentialSpec'];
  if (typeof credential === 'string') {
    const at = `${path}.gmsaCredentialSpec`;
    if (credential === '') {
      errors.push(invalidValue(at, credential, 'gmsaCredentialSpec cannot be an empty string'));
    } else if (Buffer.byteLength(credential) > MAX_CREDENTIAL_KIB * 1024) {
      const why = `gmsaCredentialSpec size must be under ${MAX_CREDENTIAL_KIB} KiB`;
      errors.push(invalidValue(at, credential, why));
    }
  }
  const user = options['runAsUserName'];
  if (typeof user === 'string') {
    const at = `${path}.runAsUserName`;
    errors.push(...userNameFaults(user).map((fault) => invalidValue(at, user, fault)));
  }
  return errors;
}

function userNameFaults(text: string): string[] {
  if (text === '') return ['runAsUserName cannot be an empty string'];
  if (CONTROL.test(text)) return ['runAsUserName cannot contain control characters'];
  const parts = text.split('\\');
  if (parts.length > 2) return ['runAsUserName cannot contain more than one backslash'];
  const user = parts.at(-1) ?? '';
  const domain = parts.length === 2 ? parts[0] : undefined;
  return [...domainFaults(domain), ...userFaults(user)];
}

function domainFaults(domain: string | undefined): string[] {
  if (domain === undefined) return [];
  const faults: string[] = [];
  if (domain.length >= MAX_DOMAIN) {
    faults.push(`runAsUserName's Domain length must be under ${MAX_DOMAIN} characters`);
  }
  if (!NETBIOS.test(domain) && !DNS_DOMAIN.test(domain)) {
    faults.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  }
  return faults;
}

function userFaults(user: string): string[] {
  const faults: string[] = [];
  if (user === '') faults.push("runAsUserName's User cannot be empty");
  else if (user.length > MAX_USER) {
    faults.push(`runAsUserName's User length must not be longer than ${MAX_USER} characters`);
  }
  if (/^[. ]+$/.test(user)) faults.push("runAsUserName's User cannot contain only periods or spaces");
  if (NOT_IN_USER.test(user)) {
    faults.push(`runAsUserName's User cannot contain the following characters: "/\\:;|=,+*?<>@[]`);
  }
  return faults;
}

/** Checks that a Pod whose containers are processes of the machine is so altogether, its network included. */
export function validateHostProcess(spec: JsonObject, path: string): FieldError[] {
  const whole = hostProcessOf(spec);
  const errors: FieldError[] = [];
  let containers = 0;
  let hostProcesses = 0;
  for (const list of ['initContainers', 'containers', 'ephemeralContainers']) {
    objectsAt(spec, list).forEach((container, index) => {
      containers++;
      const own = hostProcessOf(container);
      if (own ?? whole ?? false) hostProcesses++;
      if (own === undefined || whole === undefined || own === whole) return;
      const at = `${path}.${list}[${index}].securityContext.windowsOptions.hostProcess`;
      const why = `pod hostProcess value must be identical if both are specified, was ${String(whole)}`;
      errors.push(invalidValue(at, own, why));
    });
  }
  if (hostProcesses === 0) return errors;
  if (hostProcesses < containers) {
    const why =
      'If pod contains any hostProcess containers then all containers must be HostProcess containers';
    errors.push(invalidValue(path, '', why));
  }
  if (spec['hostNetwork'] !== true) {
    const why = 'hostNetwork must be true if pod contains any hostProcess containers';
    errors.push(invalidValue(`${path}.hostNetwork`, false, why));
  }
  return errors;
}

function hostProcessOf(owner: JsonObject): boolean | undefined {
  const value = objectAt(objectAt(owner, 'securityContext'), 'windowsOptions')?.['hostProcess'];
  return typeof value === 'boolean' ? value : undefined;
}
