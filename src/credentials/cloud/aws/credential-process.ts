import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CredentialError } from '../../credential-error.ts';
import { answerObject, type CloudContext } from '../cloud-request.ts';
import { awsCredentialsOf } from './instance-metadata.ts';
import type { AwsCredentials } from './sigv4.ts';

const TIMEOUT_MS = 30_000;
const MAX_OUTPUT_BYTES = 64 << 10;

/** Runs the command that a profile names (`credential_process`) by the shell, as AWS's programs do. */
export async function credentialProcess(
  context: CloudContext,
  command: string,
  profile: string,
): Promise<AwsCredentials> {
  const source = `credential_process of profile ${profile}`;
  const options = {
    env: { ...context.environment },
    maxBuffer: MAX_OUTPUT_BYTES,
    signal: context.signal,
    timeout: TIMEOUT_MS,
  };
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], options).catch(
    (error: unknown) => {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
      // Neither the command nor what it printed is shown: both may hold a secret.
      throw new CredentialError('CLOUD_REFUSED', `Cannot run the ${source}: it ended with ${code}`);
    },
  );
  const answer = answerObject(stdout);
  if (answer?.get('Version') !== 1) {
    throw new CredentialError(
      'CLOUD_REFUSED',
      `Cannot read the answer of the ${source}: it is not of version 1`,
    );
  }
  return awsCredentialsOf(answer, source);
}
