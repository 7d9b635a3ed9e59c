import { access, constants, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../../base/coded-error.ts';
import { CredentialError } from '../credential-error.ts';
import { CredentialProviders, type CredentialProvidersOptions } from './credential-providers.ts';
import { goSystemText, loadProviderConfig } from './provider-config.ts';
import { aggregate, validateProviderConfig } from './validate-provider-config.ts';

/**
 * Reads, validates and registers the plug-ins of a node (9.1–9.6); `configPath` is a file or a directory. Both the configuration and every executable must be there:
 * a node does not start with plug-ins that it cannot run.
 *
 * @throws CredentialError `BAD_PROVIDER_CONFIG` with the kubelet's text
 */
export async function startCredentialProviders(
  options: CredentialProvidersOptions & { readonly configPath: string },
): Promise<CredentialProviders> {
  const { binDirectory } = options;
  await stat(binDirectory).catch((error: unknown) => {
    if (isSystemError(error, 'ENOENT')) throw refuse(`plugin binary directory ${binDirectory} did not exist`);
    throw refuse(
      `error inspecting binary directory ${binDirectory}: ${goSystemText('stat', binDirectory, error)}`,
    );
  });
  const loaded = await loadProviderConfig(options.configPath);
  const errors = validateProviderConfig(loaded.providers);
  if (errors.length > 0) throw refuse(`failed to validate credential provider config: ${aggregate(errors)}`);
  for (const { name } of loaded.providers) await checkExecutable(join(binDirectory, name));
  options.observer?.configured?.(loaded.hash);
  return new CredentialProviders(loaded.providers, options);
}

async function checkExecutable(path: string): Promise<void> {
  try {
    await access(path, constants.X_OK);
    if ((await stat(path)).isDirectory())
      throw refuse(`error inspecting binary executable ${path}: is a directory`);
  } catch (error) {
    if (error instanceof CredentialError) throw error;
    if (isSystemError(error, 'ENOENT')) throw refuse(`plugin binary executable ${path} did not exist`);
    throw refuse(`error inspecting binary executable ${path}: ${goSystemText('exec', path, error)}`);
  }
}

function refuse(message: string): CredentialError {
  return new CredentialError('BAD_PROVIDER_CONFIG', message);
}
