import { readFileSync } from 'node:fs';
import { endianness, machine, release } from 'node:os';
import { isSystemError } from '../base/coded-error.ts';
import { architectureOf, operatingSystemOf } from './_host-names.ts';
import type { Platform } from './platform.ts';

/** What a machine tells about itself, in Node's words. */
export interface MachineFacts {
  /** `process.platform` */
  readonly platform: string;
  /** `process.arch` */
  readonly arch: string;
  readonly byteOrder: 'LE' | 'BE';
  /** Text of `/proc/cpuinfo`; undefined when it cannot be read. */
  readonly cpuInfo?: string;
  /** What `uname -m` prints. */
  readonly machine: string;
  /** Kernel release; on Windows the version. */
  readonly release: string;
}

/** Variants by what `/proc/cpuinfo` calls the architecture of an ARM processor. */
const VARIANT_BY_CPU: readonly (readonly [RegExp, string])[] = [
  [/^(?:8|aarch64)$/, 'v8'],
  [/^(?:7m?|\?\(1[2-7]\))$/, 'v7'],
  [/^6(?:tej)?$/, 'v6'],
  [/^5(?:t|te|tej)?$/, 'v5'],
  [/^4t?$/, 'v4'],
  [/^3$/, 'v3'],
];

/** Works out a machine's platform: the variant on ARM only, the version on Windows only (rule 15.17). */
export function platformOfMachine(facts: MachineFacts): Platform {
  const os = operatingSystemOf(facts.platform);
  const architecture = architectureOf(facts.arch, facts.byteOrder);
  if (os === 'windows') return { os, architecture, 'os.version': facts.release };
  if (architecture !== 'arm' && architecture !== 'arm64') return { os, architecture };
  return { os, architecture, variant: armVariant(facts, architecture) };
}

function armVariant(facts: MachineFacts, architecture: string): string {
  let cpu =
    cpuField(facts.cpuInfo, 'cpu architecture') ?? /^armv([3-8])/i.exec(facts.machine)?.[1] ?? facts.machine;
  // The first Raspberry Pi says 7 where its processor is an ARMv6.
  if (architecture === 'arm' && cpu === '7') {
    const model = cpuField(facts.cpuInfo, 'model name') ?? '';
    if (model.toLowerCase().startsWith('armv6-compatible')) cpu = '6';
  }
  return VARIANT_BY_CPU.find(([pattern]) => pattern.test(cpu.toLowerCase()))?.[1] ?? 'unknown';
}

function cpuField(cpuInfo: string | undefined, name: string): string | undefined {
  for (const line of cpuInfo?.split('\n') ?? []) {
    const colon = line.indexOf(':');
    if (colon > 0 && line.slice(0, colon).trim().toLowerCase() === name) return line.slice(colon + 1).trim();
  }
  return undefined;
}

/** Returns the platform of the machine this process runs on. Reads `/proc/cpuinfo` on ARM. */
export function hostPlatform(): Platform {
  const arm = process.arch === 'arm' || process.arch === 'arm64';
  const cpuInfo = arm ? readCpuInfo() : undefined;
  return platformOfMachine({
    platform: process.platform,
    arch: process.arch,
    byteOrder: endianness(),
    machine: machine(),
    release: release(),
    ...(cpuInfo === undefined ? {} : { cpuInfo }),
  });
}

function readCpuInfo(): string | undefined {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}
