import { parseCertificateRequest } from '../kube/certificates/certificate-request.ts';
import { signClientCertificate, type SigningAuthority } from '../kube/certificates/sign-certificate.ts';
import type { KubeObject } from '../kube/object.ts';
import { formatTime } from '../kube/time.ts';
import { queueKey, splitKey, unless, type ControllerContext } from './controller-context.ts';
import { CERTIFICATE_REQUESTS } from './resource-types.ts';

/** The signer whose certificates the API server takes for users. */
const SIGNER = 'kubernetes.io/kube-apiserver-client';
/** As kube-controller-manager's `--cluster-signing-duration` has it. */
const LIFETIME_MS = 365 * 24 * 3600_000;
const CLIENT_AUTH = 'client auth';
const USAGES = new Set(['digital signature', 'key encipherment', CLIENT_AUTH]);

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastUpdateTime?: string;
}

interface CertificateSigningRequest extends KubeObject {
  readonly spec: {
    readonly request: string;
    readonly signerName: string;
    readonly usages?: readonly string[];
    readonly expirationSeconds?: number;
  };
  readonly status?: { readonly certificate?: string; readonly conditions?: readonly Condition[] };
}

/** Signs what was approved for the signer of clients' certificates; other signers are other programs' business. */
export function startCertificateSigner(context: ControllerContext, authority: SigningAuthority): void {
  const requests = context.informer<CertificateSigningRequest>(CERTIFICATE_REQUESTS);
  const queue = context.queue('sign CertificateSigningRequest', async (key, signal) => {
    const request = requests.get(undefined, splitKey(key).name);
    if (request === undefined || !isWaiting(request)) return;
    const { status } = request;
    const signed = {
      ...request,
      status: { ...status, ...outcomeOf(request, authority, context.clock.now()) },
    };
    await unless(['NotFound'], context.client.update(CERTIFICATE_REQUESTS, signed, signal, 'status'));
  });
  requests.onChange(({ type, object }) => {
    if (type !== 'deleted') queue.add(queueKey(object));
  });
}

function isWaiting({ spec, status }: CertificateSigningRequest): boolean {
  if (spec.signerName !== SIGNER || (status?.certificate ?? '') !== '') return false;
  const types = new Set((status?.conditions ?? []).map(({ type }) => type));
  return types.has('Approved') && !types.has('Denied') && !types.has('Failed');
}

function outcomeOf(
  { spec, status }: CertificateSigningRequest,
  authority: SigningAuthority,
  now: number,
): { certificate: string } | { conditions: readonly Condition[] } {
  const { usages = [], expirationSeconds } = spec;
  const fault = faultOf(usages);
  if (fault !== undefined) {
    const failed: Condition = {
      type: 'Failed',
      status: 'True',
      reason: 'SignerValidationFailure',
      message: fault,
      lastUpdateTime: formatTime(now),
    };
    return { conditions: [...(status?.conditions ?? []), failed] };
  }
  const request = parseCertificateRequest(Buffer.from(spec.request, 'base64').toString('latin1'));
  const wanted = expirationSeconds === undefined ? LIFETIME_MS : expirationSeconds * 1000;
  const lifetimeMs = Math.min(wanted, LIFETIME_MS);
  const certificate = signClientCertificate(request, authority, { usages, lifetimeMs, now });
  return { certificate: Buffer.from(certificate).toString('base64') };
}

function faultOf(usages: readonly string[]): string | undefined {
  const other = usages.find((usage) => !USAGES.has(usage));
  if (other !== undefined) return `invalid usage for client certificate: ${other}`;
  if (usages.includes(CLIENT_AUTH)) return undefined;
  return `missing required usage for client certificate: ${CLIENT_AUTH}`;
}
