import { endianness } from 'node:os';

const OPERATING_SYSTEMS: Readonly<Record<string, string>> = { win32: 'windows', sunos: 'solaris' };
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', mipsel: 'mipsle' };

/** Names an operating system of Node as images do. */
export function operatingSystemOf(nodePlatform: string): string {
  return Object.hasOwn(OPERATING_SYSTEMS, nodePlatform)
    ? (OPERATING_SYSTEMS[nodePlatform] ?? nodePlatform)
    : nodePlatform;
}

/** Names an architecture of Node as images do. */
export function architectureOf(nodeArchitecture: string, byteOrder: 'LE' | 'BE'): string {
  if (nodeArchitecture === 'ppc64') return byteOrder === 'LE' ? 'ppc64le' : 'ppc64';
  return Object.hasOwn(ARCHITECTURES, nodeArchitecture)
    ? (ARCHITECTURES[nodeArchitecture] ?? nodeArchitecture)
    : nodeArchitecture;
}

export function hostOperatingSystem(): string {
  return operatingSystemOf(process.platform);
}

export function hostArchitecture(): string {
  return architectureOf(process.arch, endianness());
}
