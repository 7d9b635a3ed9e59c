import { hostOperatingSystem } from './_host-names.ts';

/** Names an operating system and processor as OCI indexes do. @see OCI image-spec v1.1.1, image-index.md, "platform" */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
}

/** An architecture with its variant; the variant is empty when the architecture's first one is meant. */
export interface Architecture {
  readonly architecture: string;
  readonly variant: string;
}

/** Spellings of a variant that mean another one; empty stands for the architecture's baseline (rule 15.2). */
const VARIANT_ALIASES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  amd64: { v1: '' },
  arm64: { '8': '', v8: '', 'v8.0': '', '9': 'v9', '9.0': 'v9', 'v9.0': 'v9' },
  arm: { '': 'v7', '7': 'v7', '5': 'v5', '6': 'v6', '8': 'v8' },
};

/** Gives an operating system its one spelling; empty means this machine's (rule 15.1). */
export function normalizeOs(os: string, hostOs = hostOperatingSystem()): string {
  if (os === '') return hostOs;
  const lower = os.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

/** Gives an architecture and its variant their one spelling (rule 15.2): `aarch64` is `arm64`, `armhf` is `arm/v7`. */
export function normalizeArchitecture(architecture: string, variant = ''): Architecture {
  const lower = architecture.toLowerCase();
  switch (lower) {
    case 'i386':
      return { architecture: '386', variant: '' };
    case 'x86_64':
    case 'x86-64':
      return withVariant('amd64', variant);
    case 'aarch64':
      return withVariant('arm64', variant);
    case 'armhf':
      return { architecture: 'arm', variant: 'v7' };
    case 'armel':
      return { architecture: 'arm', variant: 'v6' };
    default:
      return withVariant(lower, variant);
  }
}

function withVariant(architecture: string, variant: string): Architecture {
  const lower = variant.toLowerCase();
  const aliases = Object.hasOwn(VARIANT_ALIASES, architecture) ? VARIANT_ALIASES[architecture] : undefined;
  if (aliases === undefined || !Object.hasOwn(aliases, lower)) return { architecture, variant: lower };
  return { architecture, variant: aliases[lower] ?? lower };
}

/** Gives every part of a platform its one spelling (rules 15.1 to 15.3); absent parts stay absent. */
export function normalizePlatform(platform: Platform, hostOs?: string): Platform {
  const { architecture, variant } = normalizeArchitecture(platform.architecture, platform.variant);
  const version = platform['os.version'];
  const features = platform['os.features'];
  return {
    os: normalizeOs(platform.os, hostOs),
    architecture,
    ...(variant === '' ? {} : { variant }),
    ...(version === undefined || version === '' ? {} : { 'os.version': version }),
    ...(features === undefined || features.length === 0
      ? {}
      : { 'os.features': [...new Set(features)].sort() }),
  };
}

/** Prints `os/architecture[/variant]`, without version and features; an empty platform is `unknown`. */
export function formatPlatform(platform: Platform): string {
  if (platform.os === '') return 'unknown';
  return joinParts(platform.os, platform);
}

/** Prints a platform with version and features, as {@link parsePlatform} reads it: `windows(10.0.20348+win32k)/amd64` (rule 15.4). */
export function formatFullPlatform(platform: Platform): string {
  if (platform.os === '') return 'unknown';
  const options = [platform['os.version'] ?? '', ...(platform['os.features'] ?? [])].map(escapeOption);
  const suffix = options.length === 1 && options[0] === '' ? '' : `(${options.join('+')})`;
  return joinParts(platform.os + suffix, platform);
}

function joinParts(os: string, platform: Platform): string {
  return [os, platform.architecture, platform.variant ?? ''].filter((part) => part !== '').join('/');
}

/** Only these five would be taken for the syntax around them. */
function escapeOption(text: string): string {
  return text.replace(
    /[%+()/]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
