import { CodedError } from '../base/coded-error.ts';
import { goQuote } from '../base/go-quote.ts';
import { hostArchitecture, hostOperatingSystem } from './_host-names.ts';
import { normalizeArchitecture, normalizeOs, type Platform } from './platform.ts';

export class PlatformError extends CodedError<'BAD_PLATFORM'> {}

/** What fills the gaps of a short specifier. */
export interface SpecifierDefaults {
  readonly os: string;
  readonly architecture: string;
  /** Variant of an `arm` default architecture. */
  readonly variant?: string;
}

const KNOWN_OS = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos'.split(
    ' ',
  ),
);
const KNOWN_ARCHITECTURES = new Set(
  (
    '386 amd64 amd64p32 arm armbe arm64 arm64be ppc64 ppc64le loong64 mips mipsle mips64 mips64le mips64p32 ' +
    'mips64p32le ppc riscv riscv64 s390 s390x sparc sparc64 wasm'
  ).split(' '),
);

const OS_PART = /^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$/;
const OTHER_PART = /^[A-Za-z0-9_.-]+$/;
const ESCAPES = /%(25|2B|28|29|2F)/gi;

/**
 * Reads `os[(version[+feature]*)][/architecture[/variant]]`, or a known operating system or architecture alone (rule 15.4).
 * The result is normalised.
 *
 * @throws PlatformError
 */
export function parsePlatform(
  specifier: string,
  defaults: SpecifierDefaults = { os: hostOperatingSystem(), architecture: hostArchitecture() },
): Platform {
  const bad = (why: string): PlatformError =>
    new PlatformError('BAD_PLATFORM', `Cannot read platform ${goQuote(specifier)}: ${why}`);
  if (specifier.includes('*')) throw bad('wildcards are not supported');
  const parts = specifier.split('/');
  if (parts.length > 3) throw bad('more than three parts, expected os/architecture/variant');
  const [first = '', second, third] = parts;
  const os = OS_PART.exec(first);
  if (os === null) throw bad(`${goQuote(first)} is no operating system with optional (version+feature)`);
  for (const part of parts.slice(1)) if (!OTHER_PART.test(part)) throw bad(`${goQuote(part)} is no part`);
  const name = normalizeOs(os[1] ?? '', defaults.os);
  const version = unescape(os[2] ?? '');
  const features = [...new Set((os[3] ?? '').split('+').filter(Boolean).map(unescape))].sort();
  const options = {
    ...(version === '' ? {} : { 'os.version': version }),
    ...(features.length === 0 ? {} : { 'os.features': features }),
  };
  if (second === undefined) return { ...alone(first, name, defaults, bad), ...options };
  const { architecture, variant } = normalizeArchitecture(second, third);
  const shown =
    third === undefined ? plainVariant(architecture, variant) : fullVariant(architecture, variant);
  return { os: name, architecture, ...(shown === '' ? {} : { variant: shown }), ...options };
}

function alone(
  part: string,
  os: string,
  defaults: SpecifierDefaults,
  bad: (why: string) => PlatformError,
): Platform {
  if (KNOWN_OS.has(os)) {
    const variant = defaults.architecture === 'arm' ? plainVariant('arm', defaults.variant ?? '') : '';
    return { os, architecture: defaults.architecture, ...(variant === '' ? {} : { variant }) };
  }
  const { architecture, variant } = normalizeArchitecture(part);
  if (!KNOWN_ARCHITECTURES.has(architecture)) throw bad('unknown operating system or architecture');
  const shown = plainVariant(architecture, variant);
  return { os: defaults.os, architecture, ...(shown === '' ? {} : { variant: shown }) };
}

/** A variant that nobody wrote is not shown when it is the usual one. */
function plainVariant(architecture: string, variant: string): string {
  return architecture === 'arm' && variant === 'v7' ? '' : variant;
}

function fullVariant(architecture: string, variant: string): string {
  return architecture === 'arm64' && variant === '' ? 'v8' : variant;
}

function unescape(text: string): string {
  return text.replace(ESCAPES, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
