import { describeDialFailure } from '../remote/dial-error.ts';
import { RemoteError } from '../remote/remote-error.ts';
import { AdvisedError } from './exit.ts';

const HTTPS_PORT = 443;

/** Says what to do about a failure to reach a registry, in one sentence; undefined where nothing better is known. */
export function registryAdvice(error: unknown, registry: string): string | undefined {
  const failure = causes(error).find((each) => each instanceof RemoteError);
  if (failure === undefined) return undefined;
  const spokePlainHttp = causes(failure).some(
    (each) =>
      !(each instanceof RemoteError) && describeDialFailure(each, registry, HTTPS_PORT).spokePlainHttp,
  );
  if (spokePlainHttp) {
    return `${registry} speaks plain http: serve it over TLS, or, where nobody else is on the way, name it with --insecure-registry ${registry}`;
  }
  if (failure.code === 'TLS') {
    return `the certificate of ${registry} is not trusted here: put that of its authority at ~/.docker/certs.d/${registry}/ca.crt, or name another directory of that form with --cert-dir`;
  }
  if (failure.code === 'UNAUTHORIZED' || failure.code === 'DENIED')
    return `a login that may do this is needed: dray login ${registry}`;
  return undefined;
}

/**
 * Runs a command's work.
 *
 * @throws AdvisedError when it fails at a registry and something can be done about it, else what it threw
 */
export async function advising<T>(registry: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const advice = registryAdvice(error, registry);
    throw advice === undefined ? error : new AdvisedError(error, advice);
  }
}

/** The error and what lies behind it, outermost first. */
function causes(error: unknown): unknown[] {
  const found: unknown[] = [];
  for (
    let at = error;
    at !== undefined && !found.includes(at);
    at = at instanceof Error ? at.cause : undefined
  )
    found.push(at);
  return found;
}
