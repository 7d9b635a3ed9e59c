import { PlatformError, parsePlatform } from '../oci/platform-specifier.ts';
import type { Platform } from '../oci/platform.ts';
import { UsageError } from './exit.ts';

/** Reads what `--platform` says; undefined when it was not given. @throws UsageError for what is no platform */
export function platformOption(text: string | undefined): Platform | undefined {
  if (text === undefined) return undefined;
  try {
    return parsePlatform(text);
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    throw new UsageError(`--platform ${JSON.stringify(text)}: ${error.message}`);
  }
}
