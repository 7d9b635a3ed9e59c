import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../json/json-object.ts';
import { validatePodSpec } from './pod-spec.ts';

const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

function findings(spec: object, container: object = {}): string[] {
  const whole: JsonObject = {
    restartPolicy: 'Always',
    dnsPolicy: 'ClusterFirst',
    terminationGracePeriodSeconds: 30,
    containers: [
      {
        name: 'a',
        image: 'x',
        imagePullPolicy: 'Always',
        terminationMessagePolicy: 'File',
        ...container,
      },
    ],
    ...spec,
  };
  return validatePodSpec(whole, { path: 'spec', inPod: true }).map(
    ({ field, message }) => `${field}: ${message}`,
  );
}

const OPTIONS = 'spec.securityContext.windowsOptions';
const windows = (windowsOptions: object): object => ({ securityContext: { windowsOptions } });
const user = (name: string): object => windows({ runAsUserName: name });
const invalid = (name: string, why: string): string =>
  `${OPTIONS}.runAsUserName: Invalid value: ${JSON.stringify(name)}: ${why}`;
const OTHERS = 'runAsUserName\'s User cannot contain the following characters: "/\\:;|=,+*?<>@[]';

const rows: readonly (readonly [name: string, spec: object, container: object, told: readonly string[]])[] = [
  ['a plain user', user('ContainerAdministrator'), {}, []],
  ['a user of a NetBIOS domain', user('NT AUTHORITY\\NETWORK SERVICE'), {}, []],
  ['a user of a DNS domain', user('corp.example.com\\jane'), {}, []],
  ['no user', user(''), {}, [invalid('', 'runAsUserName cannot be an empty string')]],
  [
    'a control character',
    user('a\nb'),
    {},
    [invalid('a\nb', 'runAsUserName cannot contain control characters')],
  ],
  [
    'two backslashes',
    user('a\\b\\c'),
    {},
    [invalid('a\\b\\c', 'runAsUserName cannot contain more than one backslash')],
  ],
  [
    'a bad domain and a bad user',
    user('.x\\a:b'),
    {},
    [
      invalid('.x\\a:b', "runAsUserName's Domain doesn't match the NetBios nor the DNS format"),
      invalid('.x\\a:b', OTHERS),
    ],
  ],
  ['a domain without a user', user('a\\'), {}, [invalid('a\\', "runAsUserName's User cannot be empty")]],
  [
    'a user of dots that is too long',
    user('.'.repeat(105)),
    {},
    [
      invalid('.'.repeat(105), "runAsUserName's User length must not be longer than 104 characters"),
      invalid('.'.repeat(105), "runAsUserName's User cannot contain only periods or spaces"),
    ],
  ],
  [
    'credentials',
    windows({ gmsaCredentialSpecName: '_', gmsaCredentialSpec: '' }),
    {},
    [
      `${OPTIONS}.gmsaCredentialSpecName: Invalid value: "_": ${subdomain}`,
      `${OPTIONS}.gmsaCredentialSpec: Invalid value: "": gmsaCredentialSpec cannot be an empty string`,
    ],
  ],
  [
    'a process of the machine without its network',
    windows({ hostProcess: true }),
    {},
    [
      'spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers',
    ],
  ],
  [
    'a container that says otherwise than its Pod',
    { ...windows({ hostProcess: false }), hostNetwork: true },
    { securityContext: { windowsOptions: { hostProcess: true } } },
    [
      'spec.containers[0].securityContext.windowsOptions.hostProcess: Invalid value: true: pod hostProcess value must be identical if both are specified, was false',
    ],
  ],
  [
    'only some containers that are processes of the machine',
    {
      hostNetwork: true,
      initContainers: [
        { name: 'i', image: 'x', imagePullPolicy: 'Always', terminationMessagePolicy: 'File' },
      ],
    },
    { securityContext: { windowsOptions: { hostProcess: true } } },
    [
      'spec: Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess containers',
    ],
  ],
  [
    'a host name of its own on the network of the machine',
    { hostnameOverride: `${'a'.repeat(64)}_`, hostNetwork: true, setHostnameAsFQDN: true },
    {},
    [
      `spec.hostnameOverride: Invalid value: "${'a'.repeat(64)}_": ${subdomain}`,
      `spec.hostnameOverride: Invalid value: "${'a'.repeat(64)}_": must be no more than 64 characters`,
      'spec.hostNetwork: Invalid value: true: must be false when hostnameOverride is set',
      'spec.setHostnameAsFQDN: Invalid value: true: must be false when hostnameOverride is set',
    ],
  ],
  [
    'a variable from a file',
    {},
    {
      env: [
        { name: 'A', valueFrom: { fileKeyRef: { volumeName: 'v', path: 'a/b', key: 'K' } } },
        { name: 'B', valueFrom: { fileKeyRef: { volumeName: 'V', path: '..b', key: 'a=b' } } },
        { name: 'C', valueFrom: { fileKeyRef: { volumeName: '', path: '', key: '' } } },
      ],
    },
    [
      `spec.containers[0].env[1].valueFrom.fileKeyRef.key: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='`,
      `spec.containers[0].env[1].valueFrom.fileKeyRef.volumeName: Invalid value: "V": ${label}`,
      'spec.containers[0].env[1].valueFrom.fileKeyRef.path: Invalid value: "..b": must not start with \'..\'',
      'spec.containers[0].env[2].valueFrom.fileKeyRef.key: Required value',
      'spec.containers[0].env[2].valueFrom.fileKeyRef.volumeName: Required value',
      'spec.containers[0].env[2].valueFrom.fileKeyRef.path: Required value',
    ],
  ],
];

for (const [name, spec, container, told] of rows) {
  test(`of a Pod, ${name} is told as Kubernetes tells it`, () => {
    assert.deepEqual(findings(spec, container), told);
  });
}
