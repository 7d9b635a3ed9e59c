import { parseCertificateRequest } from '../../kube/certificates/certificate-request.ts';
import type { KubeObject } from '../../kube/object.ts';
import { forbidden } from '../../kube/status.ts';
import { goQuote } from '../../base/go-quote.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission-chain.ts';
import type { Authorizer } from '../authorizer.ts';
import { MASTERS_GROUP } from '../user-info.ts';

interface CertificateRequestObject extends KubeObject {
  readonly spec?: { readonly request?: string; readonly signerName?: string };
  readonly status?: {
    readonly certificate?: string;
    readonly conditions?: readonly { readonly type: string }[];
  };
}

/** The signer whose certificates this server takes for users. */
export const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client';

const of = (request: AdmissionRequest, subresource: string): boolean =>
  request.resource.group === 'certificates.k8s.io' &&
  request.resource.resource === 'certificatesigningrequests' &&
  request.subresource === subresource;

/** Lets only those say yes or no who may `approve` for the signer, as CertificateApproval does. */
export function certificateApproval(authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    validate: (request) => {
      if (request.operation !== 'UPDATE' || !of(request, 'approval')) return;
      const signer = signerOf(request.oldObject);
      if (mayUse(authorizer, request, 'approve', signer)) return;
      throw refusal(request, `user not permitted to approve requests with signerName ${goQuote(signer)}`);
    },
  };
}

/** Lets only those bring a certificate or a failure who may `sign` for the signer, as CertificateSigning does. */
export function certificateSigning(authorizer: Authorizer): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    validate: (request) => {
      if (request.operation !== 'UPDATE' || !of(request, 'status')) return;
      if (outcomeOf(request.object) === outcomeOf(request.oldObject)) return;
      const signer = signerOf(request.oldObject);
      if (mayUse(authorizer, request, 'sign', signer)) return;
      throw refusal(request, `user not permitted to sign requests with signerName ${goQuote(signer)}`);
    },
  };
}

/** Refuses requests for certificates that could do everything, as CertificateSubjectRestriction does. */
export const certificateSubjects: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  validate: (request) => {
    if (request.operation !== 'CREATE' || !of(request, '')) return;
    const { request: encoded = '', signerName } = (request.object as CertificateRequestObject).spec ?? {};
    if (signerName !== CLIENT_SIGNER) return;
    const { organizations } = parseCertificateRequest(Buffer.from(encoded, 'base64').toString('latin1'));
    if (!organizations.includes(MASTERS_GROUP)) return;
    throw refusal(request, `use of ${CLIENT_SIGNER} signer with ${MASTERS_GROUP} group is not allowed`);
  },
};

/** Who may use all signers of a domain may use each. */
function mayUse(authorizer: Authorizer, { user }: AdmissionRequest, verb: string, signer: string): boolean {
  const wildcard = `${signer.split('/', 1)[0] ?? ''}/*`;
  return [signer, wildcard].some((name) => {
    const what = { group: 'certificates.k8s.io', resource: 'signers', subresource: '', namespace: '' };
    return authorizer.authorize({ user, verb, ...what, name }).allowed;
  });
}

function signerOf(object: KubeObject | undefined): string {
  const request: CertificateRequestObject | undefined = object;
  return request?.spec?.signerName ?? '';
}

function outcomeOf(object: KubeObject | undefined): string {
  const request: CertificateRequestObject | undefined = object;
  const { certificate = '', conditions = [] } = request?.status ?? {};
  const failures = conditions.filter(({ type }) => type === 'Failed').length;
  return `${failures} ${certificate}`;
}

function refusal({ resource, name }: AdmissionRequest, why: string): Error {
  return forbidden(resource, name, why);
}
