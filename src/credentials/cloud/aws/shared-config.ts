import { join } from 'node:path';
import { isSystemError } from '../../../base/coded-error.ts';
import type { CloudContext } from '../cloud-request.ts';

/** Settings of one profile, from both shared files. */
export type AwsProfile = ReadonlyMap<string, string>;

/** What `~/.aws/config` and `~/.aws/credentials` say. */
export interface AwsSharedConfig {
  /** Name of the profile in use. */
  readonly profile: string;
  /** True when the environment names the profile: then it goes before keys of the environment. */
  readonly explicit: boolean;
  profileNamed(name: string): AwsProfile | undefined;
}

/** Reads both files where the environment says they are; one that is missing is empty. */
export async function readAwsSharedConfig(context: CloudContext): Promise<AwsSharedConfig> {
  const { environment } = context;
  const home = environment['HOME'] ?? environment['USERPROFILE'] ?? '/';
  const read = async (path: string): Promise<string> => {
    try {
      return await context.readFile(path);
    } catch (error) {
      if (!isSystemError(error, 'ENOENT') && !isSystemError(error, 'ENOTDIR')) {
        context.warn(`Cannot read "${path}": ${isSystemError(error) ? (error.code ?? 'failed') : 'failed'}`);
      }
      return '';
    }
  };
  const profiles = new Map<string, Map<string, string>>();
  const add = (text: string, nameOf: (section: string) => string | undefined): void => {
    for (const [section, settings] of parseIni(text)) {
      const name = nameOf(section);
      if (name === undefined) continue;
      profiles.set(name, new Map([...(profiles.get(name) ?? []), ...settings]));
    }
  };
  // In the configuration file every profile but the default one is written `[profile NAME]`; the credentials file wins.
  add(await read(environment['AWS_CONFIG_FILE'] ?? join(home, '.aws', 'config')), (section) =>
    section === 'default' ? section : /^profile\s+"?([^"]+?)"?$/.exec(section)?.[1],
  );
  add(
    await read(environment['AWS_SHARED_CREDENTIALS_FILE'] ?? join(home, '.aws', 'credentials')),
    (section) => section,
  );
  const explicit = environment['AWS_PROFILE'] ?? environment['AWS_DEFAULT_PROFILE'] ?? '';
  return {
    profile: explicit === '' ? 'default' : explicit,
    explicit: explicit !== '',
    profileNamed: (name) => profiles.get(name),
  };
}

/** Reads sections of `name = value` lines; `#` and `;` begin comments; indented lines belong to the setting above and are left out. */
export function parseIni(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:[#;].*)?$/.test(line) || /^\s/.test(line)) continue;
    const section = /^\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (section !== undefined) {
      current = sections.get(section) ?? new Map<string, string>();
      sections.set(section, current);
      continue;
    }
    const equals = line.indexOf('=');
    if (equals <= 0) continue;
    const value = line
      .slice(equals + 1)
      .replace(/\s[#;].*$/, '')
      .trim();
    current?.set(line.slice(0, equals).trim().toLowerCase(), value);
  }
  return sections;
}
